// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Inner products of rows that a warp holds in registers with rows that its block shares.
//
// The tensor core pairs value k of a row with value k of the other whatever k means, so lane l
// takes 8 neighbouring values, 8 (l % 4) ... of each 32, of its rows: one 16-byte access instead of
// four of 4 bytes, for two steps of 16 values.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

#include "base/cuda/tensor_core.cuh"
#include "pinboard/kv_layout.h"

namespace pinboard::kernels {

inline constexpr int kStepValues = 32;

/// kTiles times 16 rows of kDim values, bf16 or f16, in the registers of a warp.
template <DType kType, int kDim, int kTiles>
class HeldRows {
 public:
  static constexpr int kRows = 16 * kTiles;
  static constexpr int kSteps = kDim / kStepValues;

  /// row_at(r): the address of row r of this warp, null for a row of zeros; piece_of(row, i):
  /// values 8 i ... 8 i + 7 of it.
  template <typename RowAt, typename PieceOf>
  __device__ void Load(RowAt row_at, PieceOf piece_of) {
    const int lane = static_cast<int>(threadIdx.x % 32);
#pragma unroll
    for (int tile = 0; tile < kTiles; ++tile) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const void* const row = row_at(16 * tile + 8 * half + lane / 4);
#pragma unroll
        for (int step = 0; step < kSteps; ++step) {
          values_[tile][half][step] =
              row == nullptr ? make_uint4(0, 0, 0, 0) : piece_of(row, step * 4 + lane % 4);
        }
      }
    }
  }

  /// sums[tile] = products with the 8 rows that begin at `shared`, kStride bytes apart.
  template <int kStride>
  __device__ void Multiply(const std::byte* shared, float (&sums)[kTiles][4]) const {
    const int lane = static_cast<int>(threadIdx.x % 32);
    const auto* other = reinterpret_cast<const uint4*>(shared + lane / 4 * kStride) + lane % 4;
#pragma unroll
    for (int tile = 0; tile < kTiles; ++tile) {
#pragma unroll
      for (float& sum : sums[tile]) sum = 0.0F;
    }
#pragma unroll
    for (int step = 0; step < kSteps; ++step) {
      const uint4 b = other[step * 4];
#pragma unroll
      for (int tile = 0; tile < kTiles; ++tile) {
        const uint4& upper = values_[tile][0][step];
        const uint4& lower = values_[tile][1][step];
        MultiplyAdd(sums[tile], upper.x, lower.x, upper.y, lower.y, b.x, b.y);
        MultiplyAdd(sums[tile], upper.z, lower.z, upper.w, lower.w, b.z, b.w);
      }
    }
  }

 private:
  template <typename... Parts>
  __device__ static void MultiplyAdd(float (&sums)[4], Parts... parts) {
    if constexpr (kType == DType::kF16) {
      cuda::MultiplyAddF16(sums, parts...);
    } else {
      cuda::MultiplyAdd(sums, parts...);
    }
  }

  uint4 values_[kTiles][2][kSteps];
};

/// Bytes between rows in shared memory: an odd number of 64, so that two rows that are read
/// together fall on different banks.
template <int kDim>
inline constexpr int kSharedStride = (kDim * 2 + 63) / 64 % 2 == 1 ? kDim * 2 : kDim * 2 + 64;

/// Begins to copy kRows rows of 16-bit values to shared memory (BeginCopy), with all kThreads
/// threads of the block; row_at as above.
template <int kDim, int kRows, int kThreads, typename RowAt>
__device__ void BeginRows(std::byte* shared, RowAt row_at) {
  constexpr int kWords = kDim * 2 / 16;
#pragma unroll 4
  for (int i = static_cast<int>(threadIdx.x); i < kRows * kWords; i += kThreads) {
    const auto* row = static_cast<const uint4*>(row_at(i / kWords));
    cuda::BeginCopy(
        reinterpret_cast<uint4*>(shared + i / kWords * kSharedStride<kDim>) + i % kWords,
        row == nullptr ? nullptr : row + i % kWords, make_uint4(0, 0, 0, 0));
  }
}

/// Stores kRows rows likewise, from piece_of(row, i) as above, without waiting in the background.
template <int kDim, int kRows, int kThreads, typename RowAt, typename PieceOf>
__device__ void StoreRows(std::byte* shared, RowAt row_at, PieceOf piece_of) {
  constexpr int kWords = kDim * 2 / 16;
#pragma unroll 4
  for (int i = static_cast<int>(threadIdx.x); i < kRows * kWords; i += kThreads) {
    const void* const row = row_at(i / kWords);
    reinterpret_cast<uint4*>(shared + i / kWords * kSharedStride<kDim>)[i % kWords] =
        row == nullptr ? make_uint4(0, 0, 0, 0) : piece_of(row, i % kWords);
  }
}

}  // namespace pinboard::kernels
