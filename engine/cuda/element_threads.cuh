// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A thread for each of many elements, in blocks of `kThreads`.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

namespace pinboard::engine {

/// The grid of `count` threads, the last block filled up: a kernel looks whether its element is
/// there.
template <int kThreads>
unsigned ElementGrid(std::int64_t count) {
  return static_cast<unsigned>((count + kThreads - 1) / kThreads);
}

/// The element of this thread.
template <int kThreads>
__device__ std::int64_t ElementIndex() {
  return std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
}

}  // namespace pinboard::engine
