// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Work that follows when all blocks of a kernel have done their part, without another launch.
#pragma once

#include <cstdint>

namespace pinboard::kernels {

/// True in all threads of the one block that comes last of `blocks`, which then sees what the
/// others wrote (through L2: read it with __ldcg). `tickets` is 0 before the kernel and again after
/// it. All threads of a block call it once.
__device__ inline bool IsLastBlock(std::uint32_t* tickets, std::uint32_t blocks) {
  __shared__ bool is_last;
  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0) {
    is_last = atomicAdd(tickets, 1U) == blocks - 1;
    if (is_last) *tickets = 0;
  }
  __syncthreads();
  if (is_last) __threadfence();
  return is_last;
}

}  // namespace pinboard::kernels
