// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A row of logits that a block streams past a threshold, tile by tile.
#pragma once

#include <cstdint>

#include "kernels/bf16_pairs.cuh"
#include "kernels/entropy/candidate_keys.cuh"
#include "kernels/entropy/largest_keys.cuh"
#include "kernels/row_values.cuh"

namespace pinboard::kernels {

/// What a thread has of a part of a row: kVectors times 16 bytes.
template <DType dtype>
class Tile {
 public:
  static constexpr int kThreads = LargestKeys<dtype, LongKey>::kThreads;
  static constexpr int kVectors = 2;
  static constexpr int kWords = 4 * kVectors;
  static constexpr int kValuesOfVector = kValuesAtOnce<dtype>;
  static constexpr int kValuesOfWord = kValuesOfVector / 4;
  static constexpr int kValues = kVectors * kValuesOfVector;
  static constexpr int kSize = kThreads * kValues;
  static_assert(kSize <= LargestKeys<dtype, LongKey>::kTile);

  struct Row {
    const void* values;
    int width;
    bool aligned;
  };

  /// Vectors `stride` vectors apart from one thread to the next, from vector `first` of the row on.
  __device__ void Load(const Row& row, std::int64_t first, int stride) {
#pragma unroll
    for (int v = 0; v < kVectors; ++v) {
      const std::int64_t vector = first + std::int64_t{stride} * (v * kThreads + threadIdx.x);
      const uint4 bytes =
          LoadBytes<dtype>(row.values, vector * kValuesOfVector, row.width, row.aligned);
      words_[4 * v] = bytes.x;
      words_[4 * v + 1] = bytes.y;
      words_[4 * v + 2] = bytes.z;
      words_[4 * v + 3] = bytes.w;
    }
  }

  /// Upper halves of all values' keys (CandidateKey; that of -0 a little less).
  __device__ void KeysOf(std::uint32_t (&halves)[kValues]) const {
#pragma unroll
    for (int word = 0; word < kWords; ++word) {
#pragma unroll
      for (int i = 0; i < kValuesOfWord; ++i) {
        const std::uint32_t bits = Bits(words_[word], i);
        const auto sign = static_cast<std::uint32_t>(static_cast<std::int32_t>(bits) >> 31);
        halves[word * kValuesOfWord + i] = bits ^ (sign | 0x80000000U);
      }
    }
  }

  /// Values that are `least` or more, or NaN: value i of word w at bit 16 i + w.
  __device__ std::uint32_t NotBelow(float least) const {
    std::uint32_t found = 0;
#pragma unroll
    for (int word = 0; word < kWords; ++word) {
      if constexpr (dtype == DType::kBF16) {
        // Rounded, `least` stays on the same side of every bf16 value, or meets it.
        const unsigned below = __hlt2_mask(PairOf(words_[word]), __float2bfloat162_rn(least));
        found |= ~below & (0x00010001U << word);
      } else {
        found |= (__uint_as_float(words_[word]) < least ? 0U : 1U) << word;
      }
    }
    return found;
  }

  /// The value at a bit, and its place among this thread's values of a tile.
  __device__ float At(int bit, int* place) const {
    const int word = bit % 16;
    const int value = bit / 16;
    *place = (word / 4 * kThreads * 4 + word % 4) * kValuesOfWord + value;
    static_assert(kWords == 8);
    std::uint32_t of_pair[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) of_pair[i] = (word & 1) != 0 ? words_[2 * i + 1] : words_[2 * i];
    const std::uint32_t of_first = (word & 2) != 0 ? of_pair[1] : of_pair[0];
    const std::uint32_t of_second = (word & 2) != 0 ? of_pair[3] : of_pair[2];
    const std::uint32_t chosen = (word & 4) != 0 ? of_second : of_first;
    return __uint_as_float(Bits(chosen, value));
  }
  __device__ static std::int64_t FirstColumn(int tile) {
    return std::int64_t{tile} * kSize + threadIdx.x * kValuesOfVector;
  }

 private:
  /// The float that a value of a word is.
  __device__ static std::uint32_t Bits(std::uint32_t word, int value) {
    if constexpr (dtype == DType::kF32) return word;
    return value == 0 ? word << 16U : word & 0xffff0000U;
  }

  std::uint32_t words_[kWords];
};

/// Offers a tile's values that may be among the largest; true where Prune must come before another.
template <DType dtype, typename KeyOf>
__device__ bool Offer(const Tile<dtype>& tile, std::int64_t first_column, int width, float least,
                      const LargestKeys<dtype, KeyOf>& largest, bool* has_nan) {
  bool full = false;
  for (std::uint32_t found = tile.NotBelow(least); found != 0; found &= found - 1) {
    int place = 0;
    const float value = tile.At(__ffs(static_cast<int>(found)) - 1, &place);
    const std::int64_t column = first_column + place;
    if (column >= width) continue;
    if (value != value) {
      *has_nan = true;
      continue;
    }
    const auto key = KeyOf::Of(value, static_cast<std::uint32_t>(column));
    if (key >= largest.threshold()) full |= largest.Append(key);
  }
  return full;
}

/// Offers a row; each thread's tile after the one at hand is on its way.
template <DType dtype, typename KeyOf>
__device__ void OfferRow(const typename Tile<dtype>::Row& row, int k,
                         LargestKeys<dtype, KeyOf>& largest, bool* has_nan) {
  constexpr int kVectorsOfTile = Tile<dtype>::kSize / Tile<dtype>::kValuesOfVector;
  const int tiles = (row.width + Tile<dtype>::kSize - 1) / Tile<dtype>::kSize;
  Tile<dtype> next;
  next.Load(row, 0, 1);
  for (int t = 0; t < tiles; ++t) {
    const Tile<dtype> tile = next;
    next.Load(row, std::int64_t{t + 1} * kVectorsOfTile, 1);
    const bool full =
        Offer(tile, Tile<dtype>::FirstColumn(t), row.width, largest.LeastLogit(), largest, has_nan);
    if (__syncthreads_or(full) != 0) largest.Prune(k, 2 * k);
  }
  __syncthreads();
}

/// Of a sample of the row, the rank of a value that k or more of the row reach but once in a
/// million rows of independent values.
template <DType dtype>
__device__ std::uint32_t GuessRank(int k, int width) {
  const float expected = static_cast<float>(Tile<dtype>::kSize) * k / width;
  const float rank = expected + 4.0F * sqrtf(expected) + 8.0F;
  return static_cast<std::uint32_t>(rank < k ? rank : k);
}

}  // namespace pinboard::kernels
