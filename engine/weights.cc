// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "engine/weights.h"

#include "base/dtype.h"
#include "engine/random_weights.h"
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

class RandomHostSource final : public TensorSource<HostStorage> {
 public:
  explicit RandomHostSource(std::uint64_t seed) : seed_(seed) {}

  absl::StatusOr<std::vector<float>> Matrix(const std::string& name,
                                            const std::vector<std::int64_t>& shape,
                                            const TensorSlice& slice) override {
    const std::uint64_t stream = RandomStream(seed_, name);
    std::vector<float> values(slice.all_rows() * slice.columns);
    for (std::size_t i = 0; i < values.size(); ++i) {
      const auto at = static_cast<std::int64_t>(i);
      const std::int64_t row = slice.WholeRow(at / slice.columns);
      values[i] = BFloat16ToFloat(
          RandomWeight(stream, row * shape.back() + slice.column_begin + at % slice.columns));
    }
    return values;
  }
  absl::StatusOr<std::vector<float>> Vector(const std::string& name,
                                            const std::vector<std::int64_t>&,
                                            const TensorSlice& slice) override {
    return std::vector<float>(slice.rows, RandomVectorValue(name));
  }

 private:
  std::uint64_t seed_;
};

}  // namespace

absl::StatusOr<ModelWeights> DrawWeights(std::uint64_t seed, const ModelConfig& config,
                                         const RankPlan& plan) {
  RandomHostSource source(seed);
  return WeightsReader<HostStorage>(&source, config, plan).Read();
}

absl::StatusOr<ModelWeights> LoadWeights(const Checkpoint& checkpoint, const ModelConfig& config,
                                         const RankPlan& plan) {
  HostSource source(checkpoint);
  return WeightsReader<HostStorage>(&source, config, plan).Read();
}

}  // namespace pinboard::engine
