// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "engine/weights.h"

#include "engine/weights_reader.h"

namespace pinboard::engine {
namespace {

class HostSource final : public TensorSource<HostStorage> {
 public:
  explicit HostSource(const Checkpoint& checkpoint) : checkpoint_(checkpoint) {}

  absl::StatusOr<std::vector<float>> Matrix(const std::string& name,
                                            const std::vector<std::int64_t>& shape,
                                            const TensorSlice& slice) override {
    return checkpoint_.Read(name, shape, slice);
  }
  absl::StatusOr<std::vector<float>> Vector(const std::string& name,
                                            const std::vector<std::int64_t>& shape,
                                            const TensorSlice& slice) override {
    return checkpoint_.Read(name, shape, slice);
  }

 private:
  const Checkpoint& checkpoint_;
};

}  // namespace

absl::StatusOr<ModelWeights> LoadWeights(const Checkpoint& checkpoint, const ModelConfig& config,
                                         const RankPlan& plan) {
  HostSource source(checkpoint);
  return WeightsReader<HostStorage>(&source, config, plan).Read();
}

}  // namespace pinboard::engine
