// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdint>

#include "base/cuda/cuda_status.h"
#include "engine/cuda/best_logit.cuh"

namespace pinboard::engine {
namespace {

constexpr int kThreads = 512;
constexpr int kWarps = kThreads / 32;

struct RowList {
  int rows[kMostBestRows];
};

__device__ BestLogit Better(const BestLogit& a, const BestLogit& b) {
  return b.logit > a.logit || (b.logit == a.logit && b.column < a.column) ? b : a;
}

__device__ BestLogit BestOfWarp(BestLogit best) {
  for (int offset = 16; offset > 0; offset /= 2) {
    BestLogit other;
    other.column = __shfl_xor_sync(0xffffffffU, best.column, offset);
    other.logit = __shfl_xor_sync(0xffffffffU, best.logit, offset);
    best = Better(best, other);
  }
  return best;
}

__global__ __launch_bounds__(kThreads) void FindBestKernel(const float* logits, int columns,
                                                           const RowList list, BestLogit* out) {
  __shared__ int warp_columns[kWarps];
  __shared__ float warp_logits[kWarps];
  const float* const row = logits + std::int64_t{list.rows[blockIdx.x]} * columns;
  BestLogit best;
  best.column = 0;
  best.logit = -__builtin_inff();
  for (int i = static_cast<int>(threadIdx.x); i < columns; i += kThreads) {
    BestLogit other;
    other.column = i;
    other.logit = row[i];
    best = Better(best, other);
  }
  best = BestOfWarp(best);
  const int lane = static_cast<int>(threadIdx.x % 32), warp = static_cast<int>(threadIdx.x / 32);
  if (lane == 0) {
    warp_columns[warp] = best.column;
    warp_logits[warp] = best.logit;
  }
  __syncthreads();
  if (warp > 0) return;
  best.column = warp_columns[lane % kWarps];
  best.logit = warp_logits[lane % kWarps];
  best = BestOfWarp(best);
  if (lane == 0) out[blockIdx.x] = best;
}

}  // namespace

absl::Status LaunchFindBest(const float* logits, int columns, absl::Span<const int> rows,
                            BestLogit* best, cudaStream_t stream) {
  RowList list;
  std::copy(rows.begin(), rows.end(), list.rows);
  FindBestKernel<<<static_cast<unsigned>(rows.size()), kThreads, 0, stream>>>(logits, columns, list,
                                                                              best);
  return cuda::ToStatus(cudaGetLastError(), "best logits");
}

}  // namespace pinboard::engine
