// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The largest of many unique keys that a block goes through, in shared memory.
#pragma once

#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstdint>
#include <limits>

#include "kernels/entropy/candidate_keys.cuh"
#include "kernels/entropy/entropy_cuda.cuh"
#include "pinboard/kv_layout.h"

namespace pinboard::kernels {

/// Holds all keys from threshold() up that were offered since Begin. But for Append, every thread
/// of the block takes part in every call, with a barrier between it and what others appended. Keys
/// are those of logits of type kType, of columns below 2^24 where `narrow`: bits that then follow
/// from others are not looked at.
template <DType kType, typename KeyOf>
class LargestKeys {
 public:
  using Key = typename KeyOf::Type;
  static constexpr int kThreads = 256;
  static constexpr int kTile = 4096;                // keys between two calls of Prune, at most
  static constexpr int kRoom = 2 * kMaxDeviceTopK;  // keys held when a tile begins, at most
  static constexpr int kBuffer = kTile + kRoom;

  /// Aligned so that no 16-byte read of one part takes in another.
  struct Storage {
    std::uint32_t count;
    alignas(16) std::uint32_t bins[256];
    alignas(16) std::uint32_t bin;
    std::uint32_t above;
    std::uint32_t reach;
  };

  /// keys: [kBuffer], shared memory.
  __device__ LargestKeys(Key* keys, Storage& storage, bool narrow)
      : keys_(keys), storage_(storage), narrow_(narrow) {}

  /// Drops all keys, and the threshold to 0, which every key reaches.
  __device__ void Begin() {
    __syncthreads();
    if (threadIdx.x == 0) storage_.count = 0;
    threshold_ = 0;
    __syncthreads();
  }
  /// Raises the threshold of no keys to the `rank` largest of a sample, given the upper halves of
  /// its keys, or to a little less.
  template <int kSample>
  __device__ void Guess(const std::uint32_t (&sample)[kSample], std::uint32_t rank) {
    std::uint32_t prefix = 0;
    std::uint32_t above = 0;
    for (int shift = 24; shift >= 16; shift -= 8) {
      FindBin(rank, above, [&] {
#pragma unroll
        for (const std::uint32_t value : sample) {
          if (shift == 24 || (value ^ prefix) >> 24U == 0) Count(value >> shift);
        }
      });
      prefix |= storage_.bin << shift;
      above = storage_.above;
    }
    threshold_ = KeyOf::Least(prefix >> 16U);
  }

  __device__ Key threshold() const { return threshold_; }
  /// No key with a smaller logit reaches the threshold.
  __device__ float LeastLogit() const {
    return threshold_ == 0 ? -kInfinity : KeyOf::Logit(threshold_);
  }
  __device__ int count() const { return static_cast<int>(storage_.count); }
  __device__ Key key(int i) const { return keys_[i]; }

  /// True where Prune must come before another tile.
  __device__ bool Append(Key key) const {
    const std::uint32_t at = atomicAdd(&storage_.count, 1U);
    keys_[at] = key;
    return at >= kRoom;
  }

  /// Raises the threshold until `most` or fewer keys reach it, but at least `k`, and drops the
  /// others; nothing where there are no more than `most`. k <= most.
  __device__ void Prune(int k, int most) {
    const int count = this->count();
    if (count <= most) {
      __syncthreads();
      return;
    }
    threshold_ = FindThreshold(count, k, most);
    Compact(count);
  }

  /// Sorts at most kMaxDeviceTopK keys into descending order.
  __device__ void Sort() {
    if (count() <= kThreads) {
      SortHeld<1>();
    } else {
      SortHeld<kMaxDeviceTopK / kThreads>();
    }
  }

 private:
  static constexpr unsigned kAllLanes = 0xffffffffU;
  static constexpr float kInfinity = std::numeric_limits<float>::infinity();

  /// Eight bits at a time from the highest: the least value whose upper bits at least k keys reach,
  /// until no more than `most` do.
  __device__ Key FindThreshold(int count, int k, int most) const {
    constexpr int kHighest = 8 * static_cast<int>(sizeof(Key)) - 8;
    Key prefix = 0;
    std::uint32_t above = 0;  // keys with greater upper bits
    for (int shift = kHighest;; shift -= 8) {
      if constexpr (kHighest == 56) SkipKnownBits(prefix, shift);
      FindBin(static_cast<std::uint32_t>(k), above, [&] {
        for (int i = static_cast<int>(threadIdx.x); i < count; i += kThreads) {
          const Key key = keys_[i];
          if (shift == kHighest || (key ^ prefix) >> (shift + 8) == 0) {
            Count(static_cast<std::uint32_t>(key >> shift));
          }
        }
      });
      prefix |= Key{storage_.bin} << shift;
      above = storage_.above;
      if (storage_.reach <= static_cast<std::uint32_t>(most) || shift == 0) return prefix;
    }
  }

  /// Past the eight bits at `shift` and those after them that follow from the ones before.
  __device__ void SkipKnownBits(std::uint64_t& prefix, int& shift) const {
    if (kType == DType::kBF16 && shift == 40) {  // the lower half of a float is 0
      const bool is_negative = prefix >> 63U == 0;
      prefix |= is_negative ? std::uint64_t{0xffff} << 32U : 0;
      shift = 24;
    }
    if (narrow_ && shift == 24) {
      prefix |= std::uint64_t{0xff} << 24U;
      shift = 16;
    }
  }

  __device__ void Count(std::uint32_t digits) const {
    atomicAdd(&storage_.bins[digits & 0xffU], 1U);
  }

  /// Counts, and finds the highest bin such that it and those above have `rank` entries, `above`
  /// counted in; the lowest where there are fewer.
  template <typename CountAll>
  __device__ void FindBin(std::uint32_t rank, std::uint32_t above, CountAll count_all) const {
    const auto thread = static_cast<int>(threadIdx.x);
    storage_.bins[thread] = 0;
    __syncthreads();
    count_all();
    __syncthreads();
    if (thread < 32) {
      constexpr int kBinsOfLane = 256 / 32;
      const int highest = 255 - thread * kBinsOfLane;
      std::uint32_t inside[kBinsOfLane];
      std::uint32_t mine = 0;
#pragma unroll
      for (int i = 0; i < kBinsOfLane; ++i) mine += inside[i] = storage_.bins[highest - i];
      std::uint32_t reach = mine;
#pragma unroll
      for (int apart = 1; apart < 32; apart *= 2) {
        const std::uint32_t other = __shfl_up_sync(kAllLanes, reach, apart);
        if (thread >= apart) reach += other;
      }
      reach += above;
      const unsigned reaching = __ballot_sync(kAllLanes, reach >= rank);
      if (thread == (reaching == 0 ? 31 : __ffs(static_cast<int>(reaching)) - 1)) {
        std::uint32_t before = reach - mine;
        int i = 0;
        for (; i < kBinsOfLane - 1 && before + inside[i] < rank; ++i) before += inside[i];
        storage_.bin = static_cast<std::uint32_t>(highest - i);
        storage_.above = before;
        storage_.reach = before + storage_.bins[highest - i];
      }
    }
    __syncthreads();
  }

  /// Drops the keys below the threshold. Each round reads kThreads keys and then writes those that
  /// stay before the end of what has been read.
  __device__ void Compact(int count) const {
    if (threadIdx.x == 0) storage_.count = 0;
    const int lane = static_cast<int>(threadIdx.x % 32);
    for (int base = 0; base < count; base += kThreads) {
      const int at = base + static_cast<int>(threadIdx.x);
      const Key key = at < count ? keys_[at] : 0;
      const bool is_kept = at < count && key >= threshold_;
      __syncthreads();
      const unsigned stays = __ballot_sync(kAllLanes, is_kept);
      if (stays == 0) continue;
      std::uint32_t first = 0;
      if (lane == 0) first = atomicAdd(&storage_.count, static_cast<unsigned>(__popc(stays)));
      first = __shfl_sync(kAllLanes, first, 0);
      if (is_kept) keys_[first + __popc(stays & ((1U << lane) - 1U))] = key;
    }
    __syncthreads();
  }

  /// kHeld keys of each thread, kThreads apart.
  template <int kHeld>
  __device__ void SortHeld() {
    const auto thread = static_cast<int>(threadIdx.x);
    const int count = this->count();
    int size = 32;
    while (size < count) size *= 2;
    Held<kHeld> held;
#pragma unroll
    for (int i = 0; i < kHeld; ++i) {
      const int at = i * kThreads + thread;
      held.keys[i] = at < count ? keys_[at] : 0;
    }
#pragma unroll
    for (int run = 2; run <= 32; run *= 2) {
      held.TurnTo(run);
      MergeInWarp(held, run / 2);
    }
    Key* shared = keys_ + kMaxDeviceTopK;
    for (int run = 64; run <= size; run *= 2) {
      held.TurnTo(run);
      for (int apart = run / 2; apart >= 32; apart /= 2) ExchangeFar(held, apart, shared);
      MergeInWarp(held, 16);
    }
    held.TurnTo(2 * kMaxDeviceTopK);  // back to what they are
    __syncthreads();
#pragma unroll
    for (int i = 0; i < kHeld; ++i) keys_[i * kThreads + thread] = held.keys[i];
    __syncthreads();
  }

  /// A thread's keys while they are sorted. Runs of a bitonic sort alternate in direction: keys of
  /// ascending runs are complemented, so that all steps are those of descending ones.
  template <int kHeld>
  struct Held {
    Key keys[kHeld];
    Key complement[kHeld] = {};

    __device__ void TurnTo(int run) {
#pragma unroll
      for (int i = 0; i < kHeld; ++i) {
        const int at = i * kThreads + static_cast<int>(threadIdx.x);
        const Key ascends = (at & run) != 0 ? ~Key{0} : Key{0};
        keys[i] ^= complement[i] ^ ascends;
        complement[i] = ascends;
      }
    }
    /// One step, of pairs `apart` apart: the first of two takes the larger key.
    __device__ void Choose(const Key (&other)[kHeld], int apart) {
#pragma unroll
      for (int i = 0; i < kHeld; ++i) {
        const int at = apart < kThreads ? static_cast<int>(threadIdx.x) : i * kThreads;
        const bool larger = (at & apart) == 0;
        keys[i] = (keys[i] > other[i]) == larger ? keys[i] : other[i];
      }
    }
  };

  /// Steps from pairs `apart` apart on.
  template <int kHeld>
  __device__ static void MergeInWarp(Held<kHeld>& held, int apart) {
#pragma unroll
    for (int step = 16; step > 0; step /= 2) {
      if (step > apart) continue;
      Key other[kHeld];
#pragma unroll
      for (int i = 0; i < kHeld; ++i) other[i] = __shfl_xor_sync(kAllLanes, held.keys[i], step);
      held.Choose(other, step);
    }
  }
  /// A step of pairs 32 and more apart. Exchanges take turns with two places in shared memory, so
  /// that the barrier of each parts the reads of the one before from the writes of the one after.
  template <int kHeld>
  __device__ void ExchangeFar(Held<kHeld>& held, int apart, Key*& shared) const {
    const auto thread = static_cast<int>(threadIdx.x);
    Key other[kHeld];
    if (apart >= kThreads) {
      static_assert(kHeld <= 2);
#pragma unroll
      for (int i = 0; i < kHeld; ++i) other[i] = held.keys[kHeld - 1 - i];
    } else {
#pragma unroll
      for (int i = 0; i < kHeld; ++i) shared[i * kThreads + thread] = held.keys[i];
      __syncthreads();
#pragma unroll
      for (int i = 0; i < kHeld; ++i) other[i] = shared[i * kThreads + (thread ^ apart)];
      shared = shared == keys_ ? keys_ + kMaxDeviceTopK : keys_;
    }
    held.Choose(other, apart);
  }

  Key* const keys_;
  Storage& storage_;
  const bool narrow_;
  Key threshold_ = 0;
};

}  // namespace pinboard::kernels
