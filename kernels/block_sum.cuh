// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A value of all threads of a block, combined in an order that never changes.
#pragma once

namespace pinboard::kernels {

/// combine(...) over the values of kThreads threads, in all of them: within warps first, then over
/// the warps. Every thread of the block calls it; a barrier.
template <int kThreads, typename T, typename Combine>
__device__ T OverBlock(T value, Combine combine) {
  static_assert(kThreads % 32 == 0 && kThreads <= 1024);
  __shared__ T warps[kThreads / 32];
  for (int apart = 16; apart > 0; apart /= 2) {
    value = combine(value, __shfl_xor_sync(0xffffffffU, value, apart));
  }
  __syncthreads();  // the last call's values are read
  if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = value;
  __syncthreads();
  T all = warps[0];
  for (int warp = 1; warp < kThreads / 32; ++warp) all = combine(all, warps[warp]);
  return all;
}

template <int kThreads, typename T>
__device__ T SumOverBlock(T value) {
  return OverBlock<kThreads>(value, [](T a, T b) { return a + b; });
}

template <int kThreads>
__device__ double MaxOverBlock(double value) {
  return OverBlock<kThreads>(value, [](double a, double b) { return a > b ? a : b; });
}

}  // namespace pinboard::kernels
