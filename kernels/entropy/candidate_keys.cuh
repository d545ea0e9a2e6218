// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Candidates as unsigned integers in the order of CandidateKey, in as few bits as their rows need.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "kernels/entropy/entropy_core.h"

namespace pinboard::kernels {

/// CandidateKey itself: any logit, any column.
struct LongKey {
  using Type = std::uint64_t;
  __device__ static Type Of(float logit, std::uint32_t column) {
    return CandidateKey(logit, column);
  }
  /// The least key of a logit whose order has these upper 16 bits.
  __device__ static Type Least(std::uint32_t upper) { return std::uint64_t{upper} << 48U; }
  __device__ static float Logit(Type key) { return CandidateLogit(key); }
  __device__ static std::uint32_t Column(Type key) { return CandidateColumn(key); }
};

/// Of logits in bf16, whose order is in its upper 16 bits, and columns below kColumns.
struct ShortKey {
  using Type = std::uint32_t;
  static constexpr std::int64_t kColumns = std::int64_t{1} << 16U;
  __device__ static Type Of(float logit, std::uint32_t column) {
    const auto order = static_cast<std::uint32_t>(CandidateKey(logit, 0) >> 32U);
    return (order & 0xffff0000U) | (0xffffU - column);
  }
  __device__ static Type Least(std::uint32_t upper) { return upper << 16U; }
  __device__ static float Logit(Type key) {
    const std::uint32_t upper = key & 0xffff0000U;
    return __uint_as_float((key >> 31U) != 0 ? upper ^ 0x80000000U : ~key & 0xffff0000U);
  }
  __device__ static std::uint32_t Column(Type key) { return 0xffffU - (key & 0xffffU); }
};

}  // namespace pinboard::kernels
