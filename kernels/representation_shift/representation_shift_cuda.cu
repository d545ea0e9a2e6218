// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include <limits>

#include "absl/strings/str_cat.h"
#include "base/cuda/cuda_status.h"
#include "kernels/representation_shift/representation_shift_core.h"
#include "kernels/representation_shift/representation_shift_cuda.cuh"
#include "kernels/row_values.cuh"
#include "kernels/tensor_dtype.cuh"

namespace pinboard::kernels {
namespace {

constexpr int kThreads = 256;
constexpr int kShiftsPerBlock = kThreads / 32;  // a warp each
constexpr int kLoadsAtOnce = 4;                 // of each state

/// Inner products of a pair of states. Products of two floats are exact in double, so that a fused
/// step rounds as a sum alone does.
struct Products {
  double dot = 0.0;
  double hidden_square = 0.0;
  double final_square = 0.0;

  __device__ void Add(float hidden, float final) {
    const auto h = static_cast<double>(hidden);
    const auto f = static_cast<double>(final);
    dot = __fma_rn(h, f, dot);
    hidden_square = __fma_rn(h, h, hidden_square);
    final_square = __fma_rn(f, f, final_square);
  }

  /// The sums over the lanes of a warp, in all of them.
  __device__ void SumOverWarp() {
    for (int apart = 16; apart > 0; apart /= 2) {
      dot += __shfl_xor_sync(0xffffffffU, dot, apart);
      hidden_square += __shfl_xor_sync(0xffffffffU, hidden_square, apart);
      final_square += __shfl_xor_sync(0xffffffffU, final_square, apart);
    }
  }
};

template <DType dtype>
__global__ __launch_bounds__(kThreads) void RepresentationShiftKernel(
    RepresentationShiftBatch batch, bool aligned) {
  constexpr int kValues = kValuesAtOnce<dtype>;
  const int shift = static_cast<int>(blockIdx.x * kShiftsPerBlock + threadIdx.x / 32);
  if (shift >= batch.layers * batch.tokens) return;
  const int lane = static_cast<int>(threadIdx.x % 32);
  const std::int64_t row_bytes = std::int64_t{batch.dim} * static_cast<int>(DTypeBytes(dtype));
  const void* hidden = static_cast<const std::byte*>(batch.hidden) + shift * row_bytes;
  const void* final =
      static_cast<const std::byte*>(batch.final_hidden) + shift % batch.tokens * row_bytes;

  Products products;
  for (int first = lane * kValues; first < batch.dim; first += 32 * kValues * kLoadsAtOnce) {
    uint4 h[kLoadsAtOnce];
    uint4 f[kLoadsAtOnce];
#pragma unroll
    for (int i = 0; i < kLoadsAtOnce; ++i) {
      h[i] = LoadBytes<dtype>(hidden, first + i * 32 * kValues, batch.dim, aligned);
      f[i] = LoadBytes<dtype>(final, first + i * 32 * kValues, batch.dim, aligned);
    }
#pragma unroll
    for (int i = 0; i < kLoadsAtOnce; ++i) {
      float hidden_values[kValues];
      float final_values[kValues];
      Unpack<dtype>(h[i], hidden_values);
      Unpack<dtype>(f[i], final_values);
#pragma unroll
      for (int v = 0; v < kValues; ++v) products.Add(hidden_values[v], final_values[v]);
    }
  }
  __syncwarp();
  products.SumOverWarp();
  if (lane != 0) return;
  constexpr double kLargest = std::numeric_limits<double>::max();
  const bool is_finite = products.hidden_square <= kLargest && products.final_square <= kLargest;
  if (!is_finite) atomicAdd(batch.faults, 1U);
  batch.shift[shift] = is_finite
                           ? ShiftOf(products.dot, products.hidden_square, products.final_square)
                           : std::numeric_limits<float>::quiet_NaN();
}

template <DType dtype>
absl::Status Launch(const RepresentationShiftBatch& batch, cudaStream_t stream) {
  const bool aligned = RowsAreAligned<dtype>(batch.hidden, batch.dim) &&
                       RowsAreAligned<dtype>(batch.final_hidden, batch.dim);
  const int blocks = (batch.layers * batch.tokens + kShiftsPerBlock - 1) / kShiftsPerBlock;
  RepresentationShiftKernel<dtype><<<blocks, kThreads, 0, stream>>>(batch, aligned);
  return cuda::ToStatus(cudaGetLastError(), "representation shift");
}

}  // namespace

absl::Status LaunchRepresentationShift(const RepresentationShiftBatch& batch, cudaStream_t stream) {
  if (batch.layers < 0 || batch.tokens < 0 || batch.dim <= 0) {
    return absl::InvalidArgumentError(absl::StrCat("RepresentationShift: ", batch.layers,
                                                   " layers of ", batch.tokens,
                                                   " tokens of dimension ", batch.dim));
  }
  if (batch.layers == 0 || batch.tokens == 0) return absl::OkStatus();
  return LaunchForTensor(batch.dtype, "RepresentationShift: states",
                         [&]<DType dtype>() { return Launch<dtype>(batch, stream); });
}

}  // namespace pinboard::kernels
