// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Logits of queries and centres. Centres are bytes; a query becomes three digits of eight bits in
// steps of its own, so the tensor cores add up integers, exactly and in any order.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "base/cuda/tensor_core.cuh"
#include "kernels/page_digest/page_digest_cuda.cuh"

namespace pinboard::kernels::page_logits {

inline constexpr int kLogitThreads = 256;
inline constexpr int kLogitWarps = kLogitThreads / 32;
inline constexpr int kColumns = 16;      // queries that a block multiplies
inline constexpr int kTileCentres = 16;  // that a warp multiplies at a time
inline constexpr int kTilesPerBlock = 32;
inline constexpr int kDigits = 3;
inline constexpr int kPieceBytes = 64;   // of a centre, that the four lanes of a row load at once
inline constexpr int kPiecesAtOnce = 3;  // on their way together
inline constexpr float kQuerySteps = 126 << 16U;
inline constexpr float kLeastQuery = 0x1p-100F;  // the largest value of a query that counts

/// Bytes from one query's digits to the next: an odd number of pieces, so that the rows which lanes
/// read together lie in different banks.
__host__ __device__ constexpr int DigitStride(int dim) {
  return ((dim + kPieceBytes - 1) / kPieceBytes | 1) * kPieceBytes;
}
__host__ __device__ constexpr int SharedBytes(int dim) {
  return kDigits * kColumns * DigitStride(dim);
}

/// One of the queries that read a KV head: they count by token, then by head of the group.
struct Column {
  int token;
  int head;  // of the rank's query heads
};
__device__ inline Column ColumnOf(const ScorePagesBatch& batch, int kv_head, int column) {
  const int group = batch.query_heads / batch.shape.kv_heads;
  return {column / group, kv_head * group + column % group};
}

/// A query in digits, by a warp; returns what one step of it is worth, NaN where it is not finite.
/// `digits`: shared memory, the first digit's; kColumns * stride bytes from one digit to the next.
__device__ inline float StoreDigits(const float* query, int dim, int stride, std::int8_t* digits) {
  constexpr unsigned kAllLanes = 0xffffffffU;
  constexpr std::uint32_t kInfinityBits = 0x7f800000U;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  std::uint32_t bits = 0;  // which order magnitudes
  for (int d = lane; d < dim; d += 32) bits = max(bits, __float_as_uint(query[d]) & 0x7fffffffU);
  bits = __reduce_max_sync(kAllLanes, bits);
  const float largest = __uint_as_float(bits);
  const bool counts = bits < kInfinityBits && largest >= kLeastQuery;
  const float factor = counts ? kQuerySteps / largest : 0.0F;
  for (int d = lane; d < stride; d += 32) {
    const std::int32_t steps = counts && d < dim ? __float2int_rn(query[d] * factor) : 0;
    const auto low = static_cast<std::int8_t>(steps & 0xff);
    const std::int32_t rest = (steps - low) >> 8;
    const auto middle = static_cast<std::int8_t>(rest & 0xff);
    digits[d] = static_cast<std::int8_t>((rest - middle) >> 8);
    digits[kColumns * stride + d] = middle;
    digits[2 * kColumns * stride + d] = low;
  }
  if (bits >= kInfinityBits) return __uint_as_float(0x7fc00000U);
  return counts ? largest / kQuerySteps : 0.0F;
}

/// Bytes [first, first + 16) of a centre; beyond its end, where digits are 0, any. kWhole: dim and
/// addresses are multiples of 16. It has no branch then, so that loads need not wait for each
/// other.
template <bool kWhole>
__device__ uint4 LoadPiece(const std::int8_t* centre, int first, int dim) {
  if constexpr (kWhole) {
    return __ldcs(reinterpret_cast<const uint4*>(centre + min(first, dim - 16)));
  } else {
    std::uint32_t words[4] = {};
    for (int i = 0; i < min(16, dim - first); ++i) {
      words[i / 4] |= static_cast<std::uint32_t>(static_cast<std::uint8_t>(centre[first + i]))
                      << (8 * (i % 4));
    }
    return {words[0], words[1], words[2], words[3]};
  }
}

/// One centre of a live page, or the last one where there are no more.
struct Centre {
  const std::int8_t* steps;
  float step;
  bool has_rows;
  bool exists;

  __device__ Centre(const ScorePagesBatch& batch, const ScorePagesProblem& problem, int kv_head,
                    int index) {
    exists = index < problem.count * kDigestCentres;
    index = min(index, problem.count * kDigestCentres - 1);
    const std::int64_t page_head =
        std::int64_t{problem.pages[index / kDigestCentres]} * batch.shape.kv_heads + kv_head;
    const std::int64_t at = page_head * kDigestCentres + index % kDigestCentres;
    steps = problem.digests.centres + at * batch.shape.key_dim;
    step = problem.digests.step[page_head];
    has_rows = problem.digests.counts[at] > 0;
  }
};

/// Sums of a warp's 16 centres and 16 queries, by digit.
struct Sums {
  std::int32_t of[kColumns / 8][kDigits][4] = {};

  /// Of the four that a lane has of columns 8 n ... 8 n + 7.
  __device__ float Value(int n, int i) const {
    const std::int64_t whole =
        (std::int64_t{of[n][0][i]} << 16) + (std::int64_t{of[n][1][i]} << 8) + of[n][2][i];
    return static_cast<float>(whole);
  }
};

template <bool kWhole>
__device__ Sums Multiply(const std::int8_t* const (&centres)[2], const std::int8_t* digits, int dim,
                         int stride) {
  const int row = static_cast<int>(threadIdx.x) % 32 / 4;
  const int in_piece = static_cast<int>(threadIdx.x) % 4 * 16;
  Sums sums;
  for (int begin = 0; begin < stride; begin += kPiecesAtOnce * kPieceBytes) {
    uint4 pieces[kPiecesAtOnce][2];
#pragma unroll
    for (int i = 0; i < kPiecesAtOnce; ++i) {
      for (int c = 0; c < 2; ++c) {
        pieces[i][c] = LoadPiece<kWhole>(centres[c], begin + i * kPieceBytes + in_piece, dim);
      }
    }
#pragma unroll
    for (int i = 0; i < kPiecesAtOnce; ++i) {
      const int first = begin + i * kPieceBytes + in_piece;
      if (begin + i * kPieceBytes >= stride) break;
      const uint4 a = pieces[i][0];
      const uint4 b = pieces[i][1];
#pragma unroll
      for (int n = 0; n < kColumns / 8; ++n) {
#pragma unroll
        for (int digit = 0; digit < kDigits; ++digit) {
          const std::int8_t* const of_query =
              digits + (digit * kColumns + n * 8 + row) * stride + first;
          const uint4 q = *reinterpret_cast<const uint4*>(of_query);
          cuda::MultiplyAdd(sums.of[n][digit], a.x, b.x, a.y, b.y, q.x, q.y);
          cuda::MultiplyAdd(sums.of[n][digit], a.z, b.z, a.w, b.w, q.z, q.w);
        }
      }
    }
  }
  return sums;
}

}  // namespace pinboard::kernels::page_logits
