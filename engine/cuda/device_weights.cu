// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/device_weights.cuh"

#include <algorithm>
#include <utility>

#include "base/cuda/pinned_buffer.h"
#include "base/cuda/stream.h"
#include "base/status_macros.h"
#include "engine/cuda/element_threads.cuh"
#include "engine/random_weights.h"
#include "engine/weights_reader.h"

namespace pinboard::engine {
namespace {

constexpr int kThreads = 256;
constexpr std::int64_t kStagedValues = std::int64_t{4} << 20;  // 8 MiB

absl::StatusOr<cuda::DeviceBuffer<float>> UploadVector(const std::vector<float>& values,
                                                       cudaStream_t stream) {
  PB_ASSIGN_OR_RETURN(auto vector, cuda::DeviceBuffer<float>::Make(values.size()));
  PB_RETURN_IF_ERROR(vector.CopyFrom(values, stream));
  PB_RETURN_IF_ERROR(cuda::ToStatus(cudaStreamSynchronize(stream), "copy weights to the device"));
  return vector;
}

/// Pinned memory that is filled while the other half is on its way.
class Staging {
 public:
  static absl::StatusOr<Staging> Create() {
    PB_ASSIGN_OR_RETURN(auto values,
                        cuda::PinnedBuffer::Make(kStagedValues * sizeof(std::uint16_t)));
    PB_ASSIGN_OR_RETURN(cuda::Event copied, cuda::Event::Create());
    return Staging(std::move(values), std::move(copied));
  }

  /// kStagedValues to fill, once their last copy is through.
  absl::StatusOr<std::uint16_t*> Fill() {
    PB_RETURN_IF_ERROR(copied_.Wait());
    return reinterpret_cast<std::uint16_t*>(values_.bytes().data());
  }
  absl::Status CopyTo(std::uint16_t* device, std::int64_t count, cudaStream_t stream) {
    PB_RETURN_IF_ERROR(cuda::ToStatus(
        cudaMemcpyAsync(device, values_.bytes().data(), count * sizeof(std::uint16_t),
                        cudaMemcpyHostToDevice, stream),
        "copy weights to the device"));
    return copied_.Record(stream);
  }

 private:
  Staging(cuda::PinnedBuffer values, cuda::Event copied)
      : values_(std::move(values)), copied_(std::move(copied)) {}

  cuda::PinnedBuffer values_;
  cuda::Event copied_;
};

class DeviceSource final : public TensorSource<DeviceStorage> {
 public:
  DeviceSource(const Checkpoint& checkpoint, Staging first, Staging second, cudaStream_t stream)
      : checkpoint_(checkpoint), stagings_{std::move(first), std::move(second)}, stream_(stream) {}

  absl::StatusOr<cuda::DeviceBuffer<std::uint16_t>> Matrix(const std::string& name,
                                                           const std::vector<std::int64_t>& shape,
                                                           const TensorSlice& slice) override {
    PB_ASSIGN_OR_RETURN(auto matrix,
                        cuda::DeviceBuffer<std::uint16_t>::Make(slice.all_rows() * slice.columns));
    const std::int64_t chunk = std::max<std::int64_t>(1, kStagedValues / slice.columns);
    for (std::int64_t first = 0; first < slice.all_rows(); first += chunk) {
      const std::int64_t rows = std::min(chunk, slice.all_rows() - first);
      Staging& staging = stagings_[next_++ % 2];
      PB_ASSIGN_OR_RETURN(std::uint16_t* const values, staging.Fill());
      PB_RETURN_IF_ERROR(checkpoint_.ReadBFloat16(name, shape, slice, first, rows, values));
      PB_RETURN_IF_ERROR(
          staging.CopyTo(matrix.data() + first * slice.columns, rows * slice.columns, stream_));
    }
    return matrix;
  }

  absl::StatusOr<cuda::DeviceBuffer<float>> Vector(const std::string& name,
                                                   const std::vector<std::int64_t>& shape,
                                                   const TensorSlice& slice) override {
    PB_ASSIGN_OR_RETURN(const std::vector<float> values, checkpoint_.Read(name, shape, slice));
    return UploadVector(values, stream_);
  }

 private:
  const Checkpoint& checkpoint_;
  Staging stagings_[2];
  unsigned next_ = 0;
  cudaStream_t stream_;
};

__global__ __launch_bounds__(kThreads) void DrawKernel(std::uint64_t stream, TensorSlice slice,
                                                       std::int64_t width, std::uint16_t* out) {
  const std::int64_t i = ElementIndex<kThreads>();
  if (i >= slice.rows * slice.groups * slice.columns) return;
  const std::int64_t row = slice.WholeRow(i / slice.columns);
  out[i] = RandomWeight(stream, row * width + slice.column_begin + i % slice.columns);
}

class RandomDeviceSource final : public TensorSource<DeviceStorage> {
 public:
  RandomDeviceSource(std::uint64_t seed, cudaStream_t stream) : seed_(seed), stream_(stream) {}

  absl::StatusOr<cuda::DeviceBuffer<std::uint16_t>> Matrix(const std::string& name,
                                                           const std::vector<std::int64_t>& shape,
                                                           const TensorSlice& slice) override {
    const std::int64_t count = slice.all_rows() * slice.columns;
    PB_ASSIGN_OR_RETURN(auto matrix, cuda::DeviceBuffer<std::uint16_t>::Make(count));
    DrawKernel<<<ElementGrid<kThreads>(count), kThreads, 0, stream_>>>(
        RandomStream(seed_, name), slice, shape.back(), matrix.data());
    PB_RETURN_IF_ERROR(cuda::ToStatus(cudaGetLastError(), "draw weights"));
    return matrix;
  }

  absl::StatusOr<cuda::DeviceBuffer<float>> Vector(const std::string& name,
                                                   const std::vector<std::int64_t>&,
                                                   const TensorSlice& slice) override {
    const std::vector<float> values(slice.rows, RandomVectorValue(name));
    return UploadVector(values, stream_);
  }

 private:
  std::uint64_t seed_;
  cudaStream_t stream_;
};

}  // namespace

absl::StatusOr<DeviceWeights> DrawDeviceWeights(std::uint64_t seed, const ModelConfig& config,
                                                const RankPlan& plan, cudaStream_t stream) {
  RandomDeviceSource source(seed, stream);
  return WeightsReader<DeviceStorage>(&source, config, plan).Read();
}

absl::StatusOr<DeviceWeights> LoadDeviceWeights(const Checkpoint& checkpoint,
                                                const ModelConfig& config, const RankPlan& plan,
                                                cudaStream_t stream) {
  PB_ASSIGN_OR_RETURN(Staging first, Staging::Create());
  PB_ASSIGN_OR_RETURN(Staging second, Staging::Create());
  DeviceSource source(checkpoint, std::move(first), std::move(second), stream);
  PB_ASSIGN_OR_RETURN(DeviceWeights weights,
                      WeightsReader<DeviceStorage>(&source, config, plan).Read());
  PB_RETURN_IF_ERROR(cuda::ToStatus(cudaStreamSynchronize(stream), "copy weights to the device"));
  return weights;
}

}  // namespace pinboard::engine
