// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "base/cuda/cuda_status.h"
#include "engine/cuda/expert_groups.cuh"

namespace pinboard::engine {
namespace {

constexpr int kThreads = 1024;
constexpr int kSumThreads = 256;

/// One block: counts, sums them up, and gives each slot its row. The experts are few and the slots
/// 4 bytes each, so this is short beside any product.
__global__ __launch_bounds__(kThreads) void GroupKernel(const std::int32_t* experts_of_slots,
                                                        int slots, int experts, int tile_rows,
                                                        int most_tiles, ExpertGroups groups) {
  __shared__ int counts[kMostExperts];
  __shared__ int next_row[kMostExperts];
  __shared__ int tile_count;
  const auto thread = static_cast<int>(threadIdx.x);
  for (int expert = thread; expert < experts; expert += kThreads) counts[expert] = 0;
  __syncthreads();
  for (int slot = thread; slot < slots; slot += kThreads) {
    atomicAdd(&counts[experts_of_slots[slot]], 1);
  }
  __syncthreads();
  if (thread == 0) {
    int row = 0, tile = 0;
    for (int expert = 0; expert < experts; ++expert) {
      next_row[expert] = row;
      for (int first = 0; first < counts[expert]; first += tile_rows) {
        groups.tiles[tile++] = {expert, row + first, min(tile_rows, counts[expert] - first)};
      }
      row += counts[expert];
    }
    tile_count = tile;
  }
  __syncthreads();
  for (int tile = tile_count + thread; tile < most_tiles; tile += kThreads) {
    groups.tiles[tile] = {0, 0, 0};
  }
  for (int slot = thread; slot < slots; slot += kThreads) {
    groups.slot_of_row[atomicAdd(&next_row[experts_of_slots[slot]], 1)] = slot;
  }
}

/// grid: parts of the width, tokens.
__global__ __launch_bounds__(kSumThreads) void SumKernel(const float* made, const float* weights,
                                                         int experts_per_token, int width,
                                                         bool accumulate, float* out) {
  const int i = static_cast<int>(blockIdx.x * kSumThreads + threadIdx.x);
  if (i >= width) return;
  const std::int64_t token = blockIdx.y;
  float sum = accumulate ? out[token * width + i] : 0.0F;
  for (int j = 0; j < experts_per_token; ++j) {
    const std::int64_t slot = token * experts_per_token + j;
    sum = __fmaf_rn(weights[slot], made[slot * width + i], sum);
  }
  out[token * width + i] = sum;
}

}  // namespace

absl::Status LaunchGroupByExpert(const std::int32_t* experts_of_slots, int slots, int experts,
                                 int tile_rows, const ExpertGroups& groups, cudaStream_t stream) {
  GroupKernel<<<1, kThreads, 0, stream>>>(experts_of_slots, slots, experts, tile_rows,
                                          MostExpertTiles(slots, experts, tile_rows), groups);
  return cuda::ToStatus(cudaGetLastError(), "slots by expert");
}

absl::Status LaunchSumExperts(const float* made, const float* weights, int tokens,
                              int experts_per_token, int width, bool accumulate, float* out,
                              cudaStream_t stream) {
  const dim3 grid(static_cast<unsigned>((width + kSumThreads - 1) / kSumThreads),
                  static_cast<unsigned>(tokens));
  SumKernel<<<grid, kSumThreads, 0, stream>>>(made, weights, experts_per_token, width, accumulate,
                                              out);
  return cuda::ToStatus(cudaGetLastError(), "sum of experts");
}

}  // namespace pinboard::engine
