// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include <cuda_bf16.h>

#include <limits>

#include "absl/strings/str_cat.h"
#include "base/cuda/cuda_status.h"
#include "kernels/entropy/candidate_keys.cuh"
#include "kernels/entropy/entropy_cuda.cuh"
#include "kernels/entropy/largest_keys.cuh"
#include "kernels/row_values.cuh"
#include "kernels/tensor_dtype.cuh"

namespace pinboard::kernels {
namespace {

constexpr int kThreads = LargestKeys<DType::kBF16, LongKey>::kThreads;
/// Blocks that a multiprocessor runs at once.
template <typename KeyOf>
constexpr int kBlocks = sizeof(typename KeyOf::Type) == 4 ? 6 : 5;
constexpr int kVectors = 2;
constexpr int kWords = 4 * kVectors;

/// What a thread has of a part of a row: kVectors times 16 bytes.
template <DType dtype>
class Tile {
 public:
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
        const unsigned below = __hlt2_mask(Pair(words_[word]), __float2bfloat162_rn(least));
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
  __device__ static __nv_bfloat162 Pair(std::uint32_t word) {
    __nv_bfloat162_raw raw;
    raw.x = static_cast<std::uint16_t>(word);
    raw.y = static_cast<std::uint16_t>(word >> 16U);
    return raw;
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

template <DType dtype, typename KeyOf>
__global__ __launch_bounds__(kThreads, kBlocks<KeyOf>) void TopKLogitsKernel(TopKLogitsBatch batch,
                                                                             bool aligned) {
  using Largest = LargestKeys<dtype, KeyOf>;
  __shared__ typename KeyOf::Type keys[Largest::kBuffer];
  __shared__ typename Largest::Storage storage;
  const std::int64_t token = blockIdx.x;
  const int width = batch.vocab_local;
  const typename Tile<dtype>::Row row{
      static_cast<const std::byte*>(batch.logits) +
          token * width * static_cast<std::int64_t>(DTypeBytes(dtype)),
      width, aligned};

  Largest largest(keys, storage, width <= 1 << 24);
  largest.Begin();
  if (width > Tile<dtype>::kSize) {
    Tile<dtype> sample;
    sample.Load(row, 0, width / Tile<dtype>::kSize);
    std::uint32_t halves[Tile<dtype>::kValues];
    sample.KeysOf(halves);
    largest.Guess(halves, GuessRank<dtype>(batch.k, width));
  }
  bool has_nan = false;
  OfferRow(row, batch.k, largest, &has_nan);
  if (largest.count() < min(batch.k, width)) {  // the guess was too high
    largest.Begin();
    OfferRow(row, batch.k, largest, &has_nan);
  }
  // Short keys are sorted in less time than they are pruned.
  largest.Prune(batch.k, sizeof(typename KeyOf::Type) == 4 ? kMaxDeviceTopK : batch.k);
  largest.Sort();

  for (int i = static_cast<int>(threadIdx.x); i < batch.k; i += kThreads) {
    const bool present = i < largest.count();
    const auto key = present ? largest.key(i) : 0;
    batch.values[token * batch.k + i] =
        present ? KeyOf::Logit(key) : -std::numeric_limits<float>::infinity();
    batch.ids[token * batch.k + i] =
        present ? batch.vocab_begin + static_cast<std::int32_t>(KeyOf::Column(key)) : -1;
  }
  if (__syncthreads_or(has_nan) != 0 && threadIdx.x == 0) atomicAdd(batch.faults, 1U);
}

template <DType dtype, typename KeyOf>
absl::Status Launch(const TopKLogitsBatch& batch, cudaStream_t stream) {
  const bool aligned = RowsAreAligned<dtype>(batch.logits, batch.vocab_local);
  TopKLogitsKernel<dtype, KeyOf><<<batch.tokens, kThreads, 0, stream>>>(batch, aligned);
  return cuda::ToStatus(cudaGetLastError(), "top-k logits");
}

}  // namespace

absl::Status LaunchTopKLogits(const TopKLogitsBatch& batch, cudaStream_t stream) {
  if (batch.tokens < 0 || batch.vocab_local < 0 || batch.vocab_begin < 0 || batch.k <= 0) {
    return absl::InvalidArgumentError(absl::StrCat("TopKLogits: the ", batch.k, " largest of ",
                                                   batch.vocab_local, " logits of ", batch.tokens,
                                                   " tokens: k must be positive"));
  }
  if (batch.k > kMaxDeviceTopK) {
    return absl::UnimplementedError(
        absl::StrCat("TopKLogits: k is ", batch.k, ": the device takes at most ", kMaxDeviceTopK));
  }
  if (batch.tokens == 0) return absl::OkStatus();
  return LaunchForTensor(batch.dtype, "TopKLogits: logits", [&]<DType dtype>() {
    if constexpr (dtype == DType::kBF16) {
      if (batch.vocab_local <= ShortKey::kColumns) return Launch<dtype, ShortKey>(batch, stream);
    }
    return Launch<dtype, LongKey>(batch, stream);
  });
}

}  // namespace pinboard::kernels
