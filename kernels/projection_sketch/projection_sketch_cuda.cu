// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "absl/strings/str_cat.h"
#include "base/cuda/cuda_status.h"
#include "kernels/projection_sketch/projection_sketch_core.h"
#include "kernels/projection_sketch/projection_sketch_cuda.cuh"
#include "kernels/row_values.cuh"
#include "kernels/tensor_dtype.cuh"

namespace pinboard::kernels {
namespace {

constexpr int kWarps = 8;
constexpr int kThreads = kWarps * 32;
constexpr int kTokensPerWarp = 8;
constexpr int kTokens = kWarps * kTokensPerWarp;  // of a block
constexpr int kColumns = 2;                       // of a thread, 32 apart
constexpr int kGroup = 64;                        // dimensions whose signs are one word

/// hidden[first_token ..., first_dim ...] as floats, zeros beyond both ends.
template <DType dtype>
__device__ void LoadTile(const ProjectionSketchBatch& batch, int first_token, int first_dim,
                         bool aligned, float (&tile)[kTokens][kGroup]) {
  constexpr int kValues = kValuesAtOnce<dtype>;
  constexpr int kLoadsPerToken = kGroup / kValues;
  for (int i = static_cast<int>(threadIdx.x); i < kTokens * kLoadsPerToken; i += kThreads) {
    const int token = i / kLoadsPerToken;
    const int at = i % kLoadsPerToken * kValues;
    float values[kValues] = {};
    if (first_token + token < batch.tokens) {
      const std::int64_t row = std::int64_t{first_token + token} * batch.dim;
      Unpack<dtype>(LoadBytes<dtype>(static_cast<const std::byte*>(batch.hidden) +
                                         row * static_cast<std::int64_t>(DTypeBytes(dtype)),
                                     first_dim + at, batch.dim, aligned),
                    values);
    }
#pragma unroll
    for (int v = 0; v < kValues; ++v) tile[token][at + v] = values[v];
  }
}

/// A block has kTokens tokens and 64 columns, a warp kTokensPerWarp tokens and all the columns.
template <DType dtype>
__global__ __launch_bounds__(kThreads) void ProjectionSketchKernel(ProjectionSketchBatch batch,
                                                                   bool aligned) {
  __shared__ __align__(16) float tile[kTokens][kGroup];
  const int first_token = static_cast<int>(blockIdx.x) * kTokens;
  const int warp_token = static_cast<int>(threadIdx.x / 32) * kTokensPerWarp;
  const int column = static_cast<int>(blockIdx.y * 32 * kColumns + threadIdx.x % 32);
  float sums[kTokensPerWarp][kColumns] = {};
  for (int first_dim = 0; first_dim < batch.dim; first_dim += kGroup) {
    __syncthreads();
    LoadTile<dtype>(batch, first_token, first_dim, aligned, tile);
    __syncthreads();
    std::uint64_t signs[kColumns];
#pragma unroll
    for (int c = 0; c < kColumns; ++c) {
      signs[c] = SketchSigns(static_cast<std::uint32_t>(column + c * 32),
                             static_cast<std::uint32_t>(first_dim / kGroup));
    }
#pragma unroll 4
    for (int d = 0; d < kGroup; d += 4) {
      float sign[kColumns][4];
#pragma unroll
      for (int c = 0; c < kColumns; ++c) {
#pragma unroll
        for (int i = 0; i < 4; ++i) sign[c][i] = SketchSign(signs[c], d + i);
      }
#pragma unroll
      for (int t = 0; t < kTokensPerWarp; ++t) {
        const float4 state = *reinterpret_cast<const float4*>(&tile[warp_token + t][d]);
#pragma unroll
        for (int c = 0; c < kColumns; ++c) {  // the product is exact: only the sum is rounded
          float& sum = sums[t][c];
          sum = __fmaf_rn(sign[c][0], state.x, sum);
          sum = __fmaf_rn(sign[c][1], state.y, sum);
          sum = __fmaf_rn(sign[c][2], state.z, sum);
          sum = __fmaf_rn(sign[c][3], state.w, sum);
        }
      }
    }
  }
#pragma unroll
  for (int t = 0; t < kTokensPerWarp; ++t) {
#pragma unroll
    for (int c = 0; c < kColumns; ++c) {
      const int token = first_token + warp_token + t;
      if (token >= batch.tokens || column + c * 32 >= batch.width) continue;
      batch.sketch[std::int64_t{token} * batch.width + column + c * 32] = sums[t][c];
      if (!isfinite(sums[t][c])) atomicAdd(batch.faults, 1U);
    }
  }
}

template <DType dtype>
absl::Status Launch(const ProjectionSketchBatch& batch, cudaStream_t stream) {
  const dim3 grid(static_cast<unsigned>((batch.tokens + kTokens - 1) / kTokens),
                  static_cast<unsigned>((batch.width + 32 * kColumns - 1) / (32 * kColumns)));
  ProjectionSketchKernel<dtype>
      <<<grid, kThreads, 0, stream>>>(batch, RowsAreAligned<dtype>(batch.hidden, batch.dim));
  return cuda::ToStatus(cudaGetLastError(), "projection sketch");
}

}  // namespace

absl::Status LaunchProjectionSketch(const ProjectionSketchBatch& batch, cudaStream_t stream) {
  if (batch.tokens < 0 || batch.dim <= 0 || batch.width <= 0) {
    return absl::InvalidArgumentError(absl::StrCat("ProjectionSketch: ", batch.tokens,
                                                   " tokens of ", batch.dim, " to ", batch.width));
  }
  if (batch.tokens == 0) return absl::OkStatus();
  return LaunchForTensor(batch.dtype, "ProjectionSketch: states",
                         [&]<DType dtype>() { return Launch<dtype>(batch, stream); });
}

}  // namespace pinboard::kernels
