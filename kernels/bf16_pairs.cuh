// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Two bf16 values as the word that a load brings, and as what instructions for pairs take.
#pragma once

#include <cuda_bf16.h>

#include <cstdint>

namespace pinboard::kernels {

__device__ inline __nv_bfloat162 PairOf(const std::uint32_t& word) {
  return reinterpret_cast<const __nv_bfloat162&>(word);
}
__device__ inline std::uint32_t WordOf(const __nv_bfloat162& pair) {
  return reinterpret_cast<const std::uint32_t&>(pair);
}

}  // namespace pinboard::kernels
