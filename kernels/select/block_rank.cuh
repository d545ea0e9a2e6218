// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Ranks: places in a histogram, and the exact order of a few rows. Everything here is called by all
// threads of a block alike.
#pragma once

#include <cstdint>
#include <cub/block/block_reduce.cuh>
#include <cub/block/block_scan.cuh>
#include <limits>

#include "kernels/select/select_core.h"
#include "kernels/select/select_tuning.h"

namespace pinboard::kernels {

/// Where a rank falls in a histogram: `before` entries lie in bins before `bin`, `inside` in it.
struct Place {
  int bin;
  std::uint32_t before;
  std::uint32_t inside;
};

/// The places of the entries with ranks(all)[i] others before them, `all` being the number of
/// entries; {kBins, all, 0} where there are fewer. `bins` is shared memory, complete and in step
/// before and after.
template <int kBins, int kRanks>
struct Places {
  Place at[kRanks];

  template <typename RanksOf>
  __device__ static Places Find(const std::uint32_t* bins, RanksOf ranks_of) {
    constexpr int kPerThread = (kBins + kSelectThreads - 1) / kSelectThreads;
    using Scan = cub::BlockScan<std::uint32_t, kSelectThreads>;
    __shared__ typename Scan::TempStorage scan;
    __shared__ Places places;
    const int begin = static_cast<int>(threadIdx.x) * kPerThread;
    std::uint32_t mine = 0;
    for (int b = begin; b < begin + kPerThread && b < kBins; ++b) mine += bins[b];
    std::uint32_t before = 0;
    std::uint32_t all = 0;
    Scan(scan).ExclusiveSum(mine, before, all);
    std::uint32_t ranks[kRanks];
    ranks_of(all, ranks);
#pragma unroll
    for (int i = 0; i < kRanks; ++i) {
      if (threadIdx.x == 0 && ranks[i] >= all) places.at[i] = {kBins, all, 0};
      if (before <= ranks[i] && ranks[i] < before + mine) {
        std::uint32_t until = before;
        int b = begin;
        for (; ranks[i] >= until + bins[b]; ++b) until += bins[b];
        places.at[i] = {b, until, bins[b]};
      }
    }
    __syncthreads();
    const Places found = places;
    __syncthreads();
    return found;
  }
};

/// A row whose class the bins leave open.
struct alignas(16) Candidate {
  std::uint64_t key;  // DescendingKey
  std::int32_t row;
};

/// A key, and a row among those that have it: the order of ScoredRow.
struct Threshold {
  std::uint64_t key;
  std::int32_t row;

  __device__ bool Reached(const Candidate& c) const {
    return c.key < key || (c.key == key && c.row <= row);
  }
};

/// Ranks the candidates of one problem, in one block, by radix passes from the highest digit that
/// differs.
class Ranking {
 public:
  static constexpr int kDigitBits = 11;
  static constexpr int kDigits = 1 << kDigitBits;

  /// In shared memory: room for a count, and for so many candidates that few problems have more.
  struct Space {
    static constexpr std::uint32_t kNear = 1024;
    std::uint32_t bins[kDigits];
    Candidate near[kNear];
  };

  __device__ Ranking(const Candidate* candidates, std::uint32_t count, Space& space)
      : candidates_(candidates), count_(count), space_(space) {
    for (std::uint32_t i = threadIdx.x; i < min(count, Space::kNear); i += kSelectThreads) {
      space_.near[i] = candidates[i];
    }
    __syncthreads();
  }

  /// Exactly `rank` candidates reach the threshold; 0 < rank <= count.
  __device__ Threshold Find(std::uint32_t rank) const {
    const auto by_key = [](const Candidate& c) { return c.key; };
    const Found key = Descend(
        by_key, [](const Candidate&) { return true; }, rank);
    if (key.exact) return {key.value, std::numeric_limits<std::int32_t>::max()};
    const auto by_row = [](const Candidate& c) { return static_cast<std::uint64_t>(c.row); };
    const auto ties = [&](const Candidate& c) { return c.key == key.value; };
    const Found row = Descend(by_row, ties, key.rank);
    return {key.value, static_cast<std::int32_t>(row.value)};
  }

  template <typename Visit>
  __device__ void ForEach(Visit visit) const {
    for (std::uint32_t i = threadIdx.x; i < count_; i += kSelectThreads) {
      visit(i < Space::kNear ? space_.near[i] : candidates_[i]);
    }
  }

 private:
  /// exact: as many as asked for have a value of at most `value`. Otherwise the values of the last
  /// `rank` of them equal `value`, and others', too, that were not asked for.
  struct Found {
    std::uint64_t value;
    std::uint32_t rank;
    bool exact;
  };

  template <typename ValueOf, typename Among>
  __device__ Found Descend(ValueOf value_of, Among among, std::uint32_t rank) const {
    std::uint64_t prefix = 0;
    int shift = HighestDifference(value_of, among, &prefix);  // of the lowest bit settled
    prefix = shift < 64 ? prefix >> shift << shift : 0;
    while (shift > 0) {
      const int next = shift > kDigitBits ? shift - kDigitBits : 0;
      for (int b = static_cast<int>(threadIdx.x); b < kDigits; b += kSelectThreads)
        space_.bins[b] = 0;
      __syncthreads();
      ForEach([&](const Candidate& c) {
        if (!among(c)) return;
        const std::uint64_t value = value_of(c);
        if (shift < 64 && (value ^ prefix) >> shift != 0) return;
        atomicAdd(&space_.bins[(value >> next) & ((1U << (shift - next)) - 1U)], 1U);
      });
      __syncthreads();
      const Place place = Places<kDigits, 1>::Find(space_.bins, [&](std::uint32_t, auto& ranks) {
                            ranks[0] = rank - 1;
                          }).at[0];
      prefix |= static_cast<std::uint64_t>(place.bin) << next;
      rank -= place.before;
      shift = next;
      if (rank == place.inside) {
        return {prefix | ((std::uint64_t{1} << shift) - 1), rank, true};
      }
    }
    return {prefix, rank, false};
  }

  /// One more than the highest bit in which values differ, 0 where they are all the same; and one
  /// of the values.
  template <typename ValueOf, typename Among>
  __device__ int HighestDifference(ValueOf value_of, Among among, std::uint64_t* some) const {
    using Reduce = cub::BlockReduce<std::uint64_t, kSelectThreads>;
    __shared__ typename Reduce::TempStorage reduce;
    __shared__ std::uint64_t all[2];
    std::uint64_t least = ~std::uint64_t{0};
    std::uint64_t largest = 0;
    ForEach([&](const Candidate& c) {
      if (!among(c)) return;
      least = min(least, value_of(c));
      largest = max(largest, value_of(c));
    });
    const auto lower = [](std::uint64_t a, std::uint64_t b) { return a < b ? a : b; };
    const auto higher = [](std::uint64_t a, std::uint64_t b) { return a > b ? a : b; };
    least = Reduce(reduce).Reduce(least, lower);
    __syncthreads();
    largest = Reduce(reduce).Reduce(largest, higher);
    if (threadIdx.x == 0) {
      all[0] = least;
      all[1] = largest;
    }
    __syncthreads();
    *some = all[0];
    const int difference = 64 - LeadingZeros(all[0] ^ all[1]);
    __syncthreads();
    return difference;
  }

  const Candidate* candidates_;
  const std::uint32_t count_;
  Space& space_;
};

}  // namespace pinboard::kernels
