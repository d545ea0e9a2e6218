// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "base/cuda/cuda_status.h"
#include "base/dtype.h"
#include "engine/cuda/block_sum.cuh"
#include "engine/cuda/element_threads.cuh"
#include "engine/cuda/elementwise.cuh"

namespace pinboard::engine {
namespace {

constexpr int kThreads = 256;

__global__ void EmbedKernel(EmbeddingRows embedding, const std::int32_t* tokens, float* out) {
  const std::int32_t row = tokens[blockIdx.x] - embedding.first_row;
  const bool here = row >= 0 && row < embedding.rows;
  const std::uint16_t* const from = embedding.table + std::int64_t{row} * embedding.width;
  float* const to = out + std::int64_t{blockIdx.x} * embedding.width;
  for (int i = static_cast<int>(threadIdx.x); i < embedding.width; i += kThreads) {
    to[i] = here ? BFloat16ToFloat(from[i]) : 0.0F;
  }
}

__global__ __launch_bounds__(kThreads) void RmsNormKernel(const float* in, const float* weight,
                                                          float eps, int dim, std::uint16_t* out) {
  const float* const row = in + std::int64_t{blockIdx.x} * dim;
  float squares = 0.0F;
  for (int i = static_cast<int>(threadIdx.x); i < dim; i += kThreads) {
    squares = __fmaf_rn(row[i], row[i], squares);
  }
  const float scale = rsqrtf(BlockSum<kThreads>(squares) / static_cast<float>(dim) + eps);
  std::uint16_t* const to = out + std::int64_t{blockIdx.x} * dim;
  for (int i = static_cast<int>(threadIdx.x); i < dim; i += kThreads) {
    to[i] = FloatToBFloat16(row[i] * scale * weight[i]);
  }
}

__global__ __launch_bounds__(kThreads) void SiluTimesKernel(const float* gate, const float* up,
                                                            std::int64_t count,
                                                            std::uint16_t* out) {
  const std::int64_t i = ElementIndex<kThreads>();
  if (i >= count) return;
  out[i] = FloatToBFloat16(gate[i] / (1.0F + __expf(-gate[i])) * up[i]);
}

__global__ __launch_bounds__(kThreads) void AddKernel(const float* source, std::int64_t count,
                                                      float* target) {
  const std::int64_t i = ElementIndex<kThreads>();
  if (i < count) target[i] += source[i];
}

}  // namespace

absl::Status LaunchEmbed(const EmbeddingRows& embedding, const std::int32_t* tokens, int count,
                         float* out, cudaStream_t stream) {
  EmbedKernel<<<static_cast<unsigned>(count), kThreads, 0, stream>>>(embedding, tokens, out);
  return cuda::ToStatus(cudaGetLastError(), "embedding");
}

absl::Status LaunchRmsNorm(const float* in, const float* weight, float eps, int rows, int dim,
                           std::uint16_t* out, cudaStream_t stream) {
  RmsNormKernel<<<static_cast<unsigned>(rows), kThreads, 0, stream>>>(in, weight, eps, dim, out);
  return cuda::ToStatus(cudaGetLastError(), "RMS norm");
}

absl::Status LaunchSiluTimes(const float* gate, const float* up, std::int64_t count,
                             std::uint16_t* out, cudaStream_t stream) {
  SiluTimesKernel<<<ElementGrid<kThreads>(count), kThreads, 0, stream>>>(gate, up, count, out);
  return cuda::ToStatus(cudaGetLastError(), "SiLU");
}

absl::Status LaunchAdd(const float* source, std::int64_t count, float* target,
                       cudaStream_t stream) {
  AddKernel<<<ElementGrid<kThreads>(count), kThreads, 0, stream>>>(source, count, target);
  return cuda::ToStatus(cudaGetLastError(), "add");
}

}  // namespace pinboard::engine
