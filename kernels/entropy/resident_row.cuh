// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The largest of a row of bf16 logits that a block holds in its registers.
#pragma once

#include <cstdint>

#include "kernels/bf16_pairs.cuh"
#include "kernels/entropy/candidate_keys.cuh"

namespace pinboard::kernels {

/// A row of at most kColumns, a multiple of 8, that begins at a multiple of 16 bytes. All functions
/// are called by all threads of a block of kThreads alike, in their order here.
class ResidentRow {
 public:
  static constexpr int kThreads = 256;
  static constexpr int kVectors = 8;  // of 16 bytes, of a thread
  static constexpr int kColumns = kThreads * kVectors * 8;
  static constexpr int kMostK = 256;      // half of FindThreshold's groups
  static constexpr int kRoom = 512;       // candidates
  static constexpr int kBins = kThreads;  // of their values
  static constexpr std::uint32_t kMostOfBin = 64;

  struct Storage {
    alignas(16) std::uint32_t maxima[kThreads];
    std::uint32_t starts[kBins];
    std::uint32_t keys[kRoom];
    std::uint16_t columns[kRoom];
    std::uint32_t of_warp[kThreads / 32];
    std::uint32_t count;
    std::uint32_t threshold;
  };

  __device__ ResidentRow(const std::uint16_t* row, int width, Storage& storage)
      : row_(row), width_(width), storage_(storage) {
    storage_.starts[threadIdx.x] = 0;
    if (threadIdx.x == 0) storage_.count = 0;
    const auto* const from = row + threadIdx.x * 8;
    const int vectors = (width / 8 + kThreads - 1 - static_cast<int>(threadIdx.x)) / kThreads;
#pragma unroll
    for (int i = 0; i < kWords; ++i) words_[i] = kNothing;
#pragma unroll
    for (int v = 0; v < kVectors; ++v) {
      asm volatile(
          "{\n.reg .pred there;\nsetp.lt.s32 there, %4, %5;\n"
          "@there ld.global.nc.v4.u32 {%0, %1, %2, %3}, [%6];\n}"
          : "+r"(words_[4 * v]), "+r"(words_[4 * v + 1]), "+r"(words_[4 * v + 2]),
            "+r"(words_[4 * v + 3])
          : "r"(v), "r"(vectors), "l"(from + v * kThreads * 8));
    }
  }

  /// Finds the candidates: the k largest are among them. False where they are too many, or NaNs
  /// hide them.
  __device__ bool FindCandidates(int k) {
    std::uint32_t most = words_[0];
#pragma unroll
    for (int i = 1; i < kWords; ++i) most = WordOf(__hmax2(PairOf(most), PairOf(words_[i])));
    storage_.maxima[threadIdx.x] = most;
    __syncthreads();
    if (threadIdx.x < 32) FindThreshold(static_cast<std::uint32_t>(k));
    __syncthreads();
    AppendFrom(storage_.threshold);
    __syncthreads();
    count_ = static_cast<int>(storage_.count);
    return min(k, width_) <= count_ && count_ <= kRoom;
  }

  __device__ int count() const { return count_; }

  /// Calls write(rank, key) for the k largest, once each. False, and nothing written, where too
  /// many of the candidates have nearly the same value: `keys` are then all of them.
  template <typename Write>
  __device__ bool Rank(int k, std::uint32_t* keys, bool* has_nan, Write write) {
    std::uint32_t held[kRoom / kThreads];
    std::uint32_t place[kRoom / kThreads];
#pragma unroll
    for (int i = 0; i < kRoom / kThreads; ++i) {
      const int at = i * kThreads + static_cast<int>(threadIdx.x);
      place[i] = 0;
      held[i] = 0;
      if (at >= count_) continue;
      const std::uint32_t column = storage_.columns[at];
      const float value = __uint_as_float(static_cast<std::uint32_t>(row_[column]) << 16U);
      if (value != value) *has_nan = true;
      held[i] = ShortKey::Of(value, column);
      place[i] = atomicAdd(&storage_.starts[BinOf(held[i])], 1U);
    }
    __syncthreads();
    if (!StartBins()) {
#pragma unroll
      for (int i = 0; i < kRoom / kThreads; ++i) {
        const int at = i * kThreads + static_cast<int>(threadIdx.x);
        if (at < count_) keys[at] = held[i];
      }
      __syncthreads();
      return false;
    }
#pragma unroll
    for (int i = 0; i < kRoom / kThreads; ++i) {
      const int at = i * kThreads + static_cast<int>(threadIdx.x);
      if (at < count_) storage_.keys[storage_.starts[BinOf(held[i])] + place[i]] = held[i];
    }
    __syncthreads();
    for (int at = static_cast<int>(threadIdx.x); at < count_; at += kThreads) {
      const std::uint32_t key = storage_.keys[at];
      const int bin = BinOf(key);
      const int begin = static_cast<int>(storage_.starts[bin]);
      if (begin >= k) break;  // and so are those after it
      const int end = bin + 1 < kBins ? static_cast<int>(storage_.starts[bin + 1]) : count_;
      int rank = begin;
      for (int other = begin; other < end; ++other) rank += storage_.keys[other] > key ? 1 : 0;
      if (rank < k) write(rank, key);
    }
    return true;
  }

 private:
  static constexpr int kWords = 4 * kVectors;
  static constexpr std::uint32_t kNothing = 0xff80ff80U;  // -inf, twice
  static constexpr unsigned kAllLanes = 0xffffffffU;

  /// The order of bf16 values as that of integers of 16 bits, and back.
  __device__ static std::uint32_t OrderOf(std::uint32_t bits) {
    return bits ^ ((bits & 0x8000U) != 0 ? 0xffffU : 0x8000U);
  }
  __device__ static std::uint32_t BitsOf(std::uint32_t order) {
    return order ^ ((order & 0x8000U) != 0 ? 0x8000U : 0xffffU);
  }
  __device__ static __nv_bfloat162 TwiceOrder(std::uint32_t order) {
    return PairOf(BitsOf(order) * 0x10001U);
  }
  /// The greatest values are in bin 0; a NaN in any.
  __device__ int BinOf(std::uint32_t key) const {
    return kBins - 1 - static_cast<int>(min((key >> 16U) - storage_.threshold, kBins - 1U));
  }

  /// By the first warp. Each group of a row's values, two of each thread, has a largest one: where
  /// k of these reach a value, so do k values of the row. The greatest such value, or a little
  /// less.
  __device__ void FindThreshold(std::uint32_t k) const {
    const auto lane = static_cast<int>(threadIdx.x);
    std::uint32_t maxima[kThreads / 32];
    const uint4* const from = reinterpret_cast<const uint4*>(storage_.maxima);
#pragma unroll
    for (int i = 0; i < kThreads / 128; ++i) {
      const uint4 four = from[i * 32 + lane];
      maxima[4 * i] = four.x;
      maxima[4 * i + 1] = four.y;
      maxima[4 * i + 2] = four.z;
      maxima[4 * i + 3] = four.w;
    }
    __nv_bfloat162 most = PairOf(maxima[0]);
    __nv_bfloat162 least = most;
#pragma unroll
    for (int i = 1; i < kThreads / 32; ++i) {
      most = __hmax2(most, PairOf(maxima[i]));
      least = __hmin2(least, PairOf(maxima[i]));
    }
    const auto high = [](std::uint32_t word) { return OrderOf(word >> 16U); };
    const auto low = [](std::uint32_t word) { return OrderOf(word & 0xffffU); };
    std::uint32_t reached =
        __reduce_min_sync(kAllLanes, min(low(WordOf(least)), high(WordOf(least))));
    std::uint32_t missed =
        __reduce_max_sync(kAllLanes, max(low(WordOf(most)), high(WordOf(most)))) + 1;
    while (missed - reached > 1) {
      const std::uint32_t middle = (reached + missed) / 2;
      const __nv_bfloat162 value = TwiceOrder(middle);
      __nv_bfloat162 sum = __hge2(PairOf(maxima[0]), value);
#pragma unroll
      for (int i = 1; i < kThreads / 32; ++i) sum = __hadd2(sum, __hge2(PairOf(maxima[i]), value));
      const float of_lane = __low2float(sum) + __high2float(sum);
      const std::uint32_t count = __reduce_add_sync(kAllLanes, static_cast<std::uint32_t>(of_lane));
      if (count >= k) {
        reached = middle;
        if (count <= k + k / 8) break;
      } else {
        missed = middle;
      }
    }
    if (lane == 0) storage_.threshold = reached;
  }

  /// The columns of the values that are not below the threshold.
  __device__ void AppendFrom(std::uint32_t threshold) const {
    const __nv_bfloat162 least = TwiceOrder(threshold);
    std::uint32_t found[2] = {};
#pragma unroll
    for (int i = 0; i < kWords; ++i) {
      const unsigned below = __hlt2_mask(PairOf(words_[i]), least);
      found[i / 16] |= ~below & (0x00010001U << (i % 16));
    }
    const auto lane = static_cast<int>(threadIdx.x % 32);
    const int mine = __popc(found[0]) + __popc(found[1]);
    int until = mine;
#pragma unroll
    for (int apart = 1; apart < 32; apart *= 2) {
      const int other = __shfl_up_sync(kAllLanes, until, apart);
      if (lane >= apart) until += other;
    }
    std::uint32_t first = 0;
    if (lane == 31) first = atomicAdd(&storage_.count, static_cast<unsigned>(until));
    std::uint32_t at = __shfl_sync(kAllLanes, first, 31) + static_cast<std::uint32_t>(until - mine);
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      for (std::uint32_t bits = found[half]; bits != 0 && at < kRoom; bits &= bits - 1, ++at) {
        const auto bit = static_cast<std::uint32_t>(__ffs(static_cast<int>(bits)) - 1);
        const std::uint32_t word = bit % 16;
        storage_.columns[at] =
            static_cast<std::uint16_t>(half * (kColumns / 2) + word / 4 * (kThreads * 8) +
                                       threadIdx.x * 8 + word % 4 * 2 + bit / 16);
      }
    }
  }

  /// From how many candidates each bin has to where they begin; false where one has too many.
  __device__ bool StartBins() const {
    const auto lane = static_cast<int>(threadIdx.x % 32);
    const auto warp = static_cast<int>(threadIdx.x / 32);
    const std::uint32_t mine = storage_.starts[threadIdx.x];
    std::uint32_t until = mine;
#pragma unroll
    for (int apart = 1; apart < 32; apart *= 2) {
      const std::uint32_t other = __shfl_up_sync(kAllLanes, until, apart);
      if (lane >= apart) until += other;
    }
    if (lane == 31) storage_.of_warp[warp] = until;
    if (__syncthreads_or(mine > kMostOfBin) != 0) return false;
    std::uint32_t before = until - mine;
#pragma unroll
    for (int w = 0; w < kThreads / 32 - 1; ++w) before += w < warp ? storage_.of_warp[w] : 0;
    storage_.starts[threadIdx.x] = before;
    __syncthreads();
    return true;
  }

  const std::uint16_t* const row_;
  const int width_;
  Storage& storage_;
  int count_ = 0;
  std::uint32_t words_[kWords];
};

}  // namespace pinboard::kernels
