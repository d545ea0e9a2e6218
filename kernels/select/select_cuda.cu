// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include <cub/block/block_reduce.cuh>
#include <cub/block/block_scan.cuh>
#include <limits>

#include "absl/strings/str_cat.h"
#include "base/cuda/cuda_status.h"
#include "base/status_macros.h"
#include "kernels/last_block.cuh"
#include "kernels/select/select_core.h"
#include "kernels/select/select_cuda.cuh"
#include "kernels/select/select_tuning.h"

namespace pinboard::kernels {
namespace {

constexpr int kThreads = kSelectThreads;
constexpr int kRowsAtOnce = kSelectRowsAtOnce;

/// Rows that compete in the first phase are those not protected, in the second those still dropped.
enum class Phase : std::uint8_t { kByKeepScore, kByBandScore };

/// A boundary between classes: rows in bins before `bin` precede it, and `need` of those in `bin`.
struct Cut {
  std::int32_t bin;
  std::uint32_t need;
};

struct ProblemState {
  std::uint32_t histogram[kScoreBins];  // 0 between phases
  std::uint32_t candidates;             // 0 between phases
  std::uint32_t tickets;                // 0 between kernels
  std::uint32_t inner_bin_rows;         // rows in inner.bin where inner.need > 0
  Cut inner;                            // what precedes it is kept (second phase: borderline)
  Cut outer;                            // what lies between the two is borderline
};

/// A row whose class the bins leave open.
struct alignas(16) Candidate {
  std::uint64_t key;  // DescendingKey
  std::int32_t row;
};

struct Workspace {
  ProblemState* states;   // [problems]
  Candidate* candidates;  // [total_rows], each problem's from its first row on
};

constexpr std::size_t StateBytes(int problems) {
  return (static_cast<std::size_t>(problems) * sizeof(ProblemState) + 15) / 16 * 16;
}

/// One problem as its blocks see it.
template <Phase phase>
class Problem {
 public:
  __device__ Problem(const SelectBatch& batch, int index)
      : first_(batch.first_row[index]),
        rows_(static_cast<std::int32_t>(batch.first_row[index + 1] - first_)),
        score_((phase == Phase::kByKeepScore ? batch.keep_score : batch.band_score) + first_),
        is_protected_(batch.is_protected + first_),
        classes_(batch.classes + first_) {}

  __device__ std::int64_t first() const { return first_; }
  __device__ std::int32_t rows() const { return rows_; }
  __device__ void SetClass(std::int32_t row, RowClass to) const { classes_[row] = to; }

  /// Calls visit(row, score, competes) for the rows of this block, in all threads of it alike:
  /// beyond the end with a row that does not exist and does not compete.
  template <typename Visit>
  __device__ void ForEachRow(int rows_per_block, Visit visit) const {
    const std::int64_t begin = std::int64_t{blockIdx.x} * rows_per_block;
    for (std::int64_t at = begin; at < begin + rows_per_block && at < rows_;
         at += kThreads * kRowsAtOnce) {
      std::int64_t score[kRowsAtOnce];
      bool competes[kRowsAtOnce];
#pragma unroll
      for (int i = 0; i < kRowsAtOnce; ++i) {
        const std::int64_t row = at + i * kThreads + threadIdx.x;
        competes[i] = row < rows_ && Competes(row);
        score[i] = row < rows_ ? score_[row] : 0;
      }
#pragma unroll
      for (int i = 0; i < kRowsAtOnce; ++i) {
        visit(static_cast<std::int32_t>(at + i * kThreads + threadIdx.x), score[i], competes[i]);
      }
    }
  }

 private:
  __device__ bool Competes(std::int64_t row) const {
    if constexpr (phase == Phase::kByKeepScore) return is_protected_[row] == 0;
    return classes_[row] == RowClass::kDropped;
  }

  const std::int64_t first_;
  const std::int32_t rows_;
  const std::int64_t* score_;
  const std::uint8_t* is_protected_;
  RowClass* classes_;
};

/// Where a rank falls in a histogram: `before` entries lie in bins before `bin`, `inside` in it.
struct Place {
  int bin;
  std::uint32_t before;
  std::uint32_t inside;
};

/// The place of the entry with `rank` others before it; {kBins, all, 0} where there are fewer. Each
/// thread of the block gets it. `bins` is shared memory, complete and in step before and after.
template <int kBins>
__device__ Place FindPlace(const std::uint32_t* bins, std::uint32_t rank) {
  constexpr int kPerThread = (kBins + kThreads - 1) / kThreads;
  using Scan = cub::BlockScan<std::uint32_t, kThreads>;
  __shared__ typename Scan::TempStorage scan;
  __shared__ Place place;
  const int begin = static_cast<int>(threadIdx.x) * kPerThread;
  std::uint32_t mine = 0;
  for (int b = begin; b < begin + kPerThread && b < kBins; ++b) mine += bins[b];
  std::uint32_t before = 0;
  std::uint32_t all = 0;
  Scan(scan).ExclusiveSum(mine, before, all);
  if (threadIdx.x == 0 && rank >= all) place = {kBins, all, 0};
  if (before <= rank && rank < before + mine) {
    int b = begin;
    for (; rank >= before + bins[b]; ++b) before += bins[b];
    place = {b, before, bins[b]};
  }
  __syncthreads();
  const Place found = place;
  __syncthreads();
  return found;
}

/// Turns the histogram of a problem into its two cuts, and clears it. `bins`: shared memory.
template <Phase phase>
__device__ void FindCuts(const SelectCounts& counts, std::int32_t rows, std::uint32_t* bins,
                         ProblemState& state) {
  for (int b = static_cast<int>(threadIdx.x); b < kScoreBins; b += kThreads) {
    bins[b] = __ldcg(&state.histogram[b]);
    state.histogram[b] = 0;
  }
  __syncthreads();
  std::uint32_t inner_rank = static_cast<std::uint32_t>(counts.far);
  std::uint32_t outer_rank = inner_rank;
  if constexpr (phase == Phase::kByKeepScore) {
    const auto competitors = FindPlace<kScoreBins>(bins, 0xffffffffU).before;
    const std::uint32_t protected_rows = static_cast<std::uint32_t>(rows) - competitors;
    const auto keep = static_cast<std::uint32_t>(counts.keep);
    inner_rank = keep > protected_rows ? keep - protected_rows : 0;
    outer_rank = inner_rank + static_cast<std::uint32_t>(counts.near);  // below 2^32
  }
  const Place inner = FindPlace<kScoreBins>(bins, inner_rank);
  const Place outer = FindPlace<kScoreBins>(bins, outer_rank);
  if (threadIdx.x == 0) {
    state.inner = {inner.bin, inner.inside > 0 ? inner_rank - inner.before : 0};
    state.outer = {outer.bin, outer.inside > 0 ? outer_rank - outer.before : 0};
    state.inner_bin_rows = state.inner.need > 0 ? inner.inside : 0;
  }
}

template <Phase phase>
__global__ __launch_bounds__(kThreads) void CountKernel(SelectBatch batch, ProblemState* states,
                                                        int rows_per_block) {
  __shared__ std::uint32_t bins[kScoreBins];
  const Problem<phase> problem(batch, static_cast<int>(blockIdx.y));
  const SelectCounts counts = batch.counts[blockIdx.y];
  ProblemState& state = states[blockIdx.y];
  if (phase == Phase::kByBandScore && counts.far == 0) return;
  for (int b = static_cast<int>(threadIdx.x); b < kScoreBins; b += kThreads) bins[b] = 0;
  __syncthreads();
  problem.ForEachRow(rows_per_block, [&](std::int32_t, std::int64_t score, bool competes) {
    if (competes) atomicAdd(&bins[ScoreBin(score)], 1U);
  });
  __syncthreads();
  for (int b = static_cast<int>(threadIdx.x); b < kScoreBins; b += kThreads) {
    if (bins[b] != 0) atomicAdd(&state.histogram[b], bins[b]);
  }
  if (IsLastBlock(&state.tickets, gridDim.x)) FindCuts<phase>(counts, problem.rows(), bins, state);
}

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
  __device__ Ranking(const Candidate* candidates, std::uint32_t count)
      : candidates_(candidates), count_(count) {}

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
    for (std::uint32_t i = threadIdx.x; i < count_; i += kThreads) visit(candidates_[i]);
  }

 private:
  static constexpr int kDigitBits = 11;
  static constexpr int kDigits = 1 << kDigitBits;

  /// exact: as many as asked for have a value of at most `value`. Otherwise the values of the last
  /// `rank` of them equal `value`, and others', too, that were not asked for.
  struct Found {
    std::uint64_t value;
    std::uint32_t rank;
    bool exact;
  };

  template <typename ValueOf, typename Among>
  __device__ Found Descend(ValueOf value_of, Among among, std::uint32_t rank) const {
    __shared__ std::uint32_t bins[kDigits];
    std::uint64_t prefix = 0;
    int shift = HighestDifference(value_of, among, &prefix);  // of the lowest bit settled
    prefix = shift < 64 ? prefix >> shift << shift : 0;
    while (shift > 0) {
      const int next = shift > kDigitBits ? shift - kDigitBits : 0;
      for (int b = static_cast<int>(threadIdx.x); b < kDigits; b += kThreads) bins[b] = 0;
      __syncthreads();
      ForEach([&](const Candidate& c) {
        if (!among(c)) return;
        const std::uint64_t value = value_of(c);
        if (shift < 64 && (value ^ prefix) >> shift != 0) return;
        atomicAdd(&bins[(value >> next) & ((1U << (shift - next)) - 1U)], 1U);
      });
      __syncthreads();
      const Place place = FindPlace<kDigits>(bins, rank - 1);
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
    using Reduce = cub::BlockReduce<std::uint64_t, kThreads>;
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
};

template <Phase phase>
struct Classes {
  static constexpr RowClass kInner =
      phase == Phase::kByKeepScore ? RowClass::kKept : RowClass::kBorderline;
};

/// Gives the candidates of one problem their classes.
template <Phase phase>
__device__ void ClassifyCandidates(const Problem<phase>& problem, const Candidate* candidates,
                                   ProblemState& state) {
  const std::uint32_t count = __ldcg(&state.candidates);
  __syncthreads();
  if (threadIdx.x == 0) state.candidates = 0;
  if (count == 0) return;
  const std::uint32_t inner = state.inner.need;
  const std::uint32_t outer =
      state.outer.need + (state.outer.bin == state.inner.bin ? 0 : state.inner_bin_rows);
  const Ranking ranking(candidates, count);
  const Threshold nothing{0, -1};
  const Threshold to_inner = inner > 0 ? ranking.Find(inner) : nothing;
  const Threshold to_outer = outer == inner ? to_inner : outer > 0 ? ranking.Find(outer) : nothing;
  ranking.ForEach([&](const Candidate& c) {
    problem.SetClass(c.row, to_inner.Reached(c)   ? Classes<phase>::kInner
                            : to_outer.Reached(c) ? RowClass::kBorderline
                                                  : RowClass::kDropped);
  });
}

template <Phase phase>
__global__ __launch_bounds__(kThreads) void ClassifyKernel(SelectBatch batch, Workspace workspace,
                                                           int rows_per_block) {
  const Problem<phase> problem(batch, static_cast<int>(blockIdx.y));
  ProblemState& state = workspace.states[blockIdx.y];
  if (phase == Phase::kByBandScore && batch.counts[blockIdx.y].far == 0) return;
  Candidate* const candidates = workspace.candidates + problem.first();
  const Cut inner = state.inner;
  const Cut outer = state.outer;
  problem.ForEachRow(rows_per_block, [&](std::int32_t row, std::int64_t score, bool competes) {
    const int bin = ScoreBin(score);
    const bool is_candidate =
        competes && ((bin == inner.bin && inner.need > 0) || (bin == outer.bin && outer.need > 0));
    const unsigned chosen = __ballot_sync(0xffffffffU, is_candidate);
    if (chosen != 0) {
      const unsigned lane = threadIdx.x % 32;
      std::uint32_t at = 0;
      if (lane == 0) at = atomicAdd(&state.candidates, __popc(chosen));
      at = __shfl_sync(0xffffffffU, at, 0) + __popc(chosen & ((1U << lane) - 1U));
      if (is_candidate) candidates[at] = {DescendingKey(score), row};
    }
    if (row >= problem.rows() || is_candidate) return;
    if (competes && bin < outer.bin) {
      problem.SetClass(row, bin < inner.bin ? Classes<phase>::kInner : RowClass::kBorderline);
    } else if (phase == Phase::kByKeepScore) {
      problem.SetClass(row, competes ? RowClass::kDropped : RowClass::kKept);
    }
  });
  if (IsLastBlock(&state.tickets, gridDim.x)) {
    ClassifyCandidates<phase>(problem, candidates, state);
  }
}

template <Phase phase>
absl::Status LaunchPhase(const SelectBatch& batch, const Workspace& workspace, int rows_per_block,
                         cudaStream_t stream) {
  const dim3 grid(static_cast<unsigned>((batch.longest + rows_per_block - 1) / rows_per_block),
                  static_cast<unsigned>(batch.problems));
  CountKernel<phase><<<grid, kThreads, 0, stream>>>(batch, workspace.states, rows_per_block);
  PB_RETURN_IF_ERROR(cuda::ToStatus(cudaGetLastError(), "select: count"));
  ClassifyKernel<phase><<<grid, kThreads, 0, stream>>>(batch, workspace, rows_per_block);
  return cuda::ToStatus(cudaGetLastError(), "select: classify");
}

}  // namespace

std::size_t SelectWorkspaceBytes(int problems, std::int64_t total_rows) {
  return StateBytes(problems) + static_cast<std::size_t>(total_rows) * sizeof(Candidate);
}

absl::Status LaunchSelect(const SelectBatch& batch, void* workspace, cudaStream_t stream) {
  if (batch.problems < 0 || batch.problems > 65535 || batch.longest < 0 ||
      batch.longest > std::numeric_limits<std::int32_t>::max() ||
      batch.total_rows < batch.longest) {
    return absl::InvalidArgumentError(absl::StrCat(
        "Select: ", batch.problems, " problems of ", batch.total_rows, " rows, the longest of ",
        batch.longest, ": at most 65,535 problems, of less than 2^31 rows"));
  }
  if (batch.problems == 0 || batch.longest == 0) return absl::OkStatus();
  int device = 0;
  int multiprocessors = 0;
  PB_RETURN_IF_ERROR(cuda::ToStatus(cudaGetDevice(&device), "select"));
  PB_RETURN_IF_ERROR(cuda::ToStatus(
      cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, device), "select"));
  const int rows_per_block = SelectRowsPerBlock(batch.total_rows, multiprocessors);
  auto* const bytes = static_cast<std::byte*>(workspace);
  const Workspace areas{reinterpret_cast<ProblemState*>(bytes),
                        reinterpret_cast<Candidate*>(bytes + StateBytes(batch.problems))};
  PB_RETURN_IF_ERROR(cuda::ToStatus(
      cudaMemsetAsync(workspace, 0, StateBytes(batch.problems), stream), "select: clear"));
  PB_RETURN_IF_ERROR(LaunchPhase<Phase::kByKeepScore>(batch, areas, rows_per_block, stream));
  if (!batch.has_far) return absl::OkStatus();
  return LaunchPhase<Phase::kByBandScore>(batch, areas, rows_per_block, stream);
}

}  // namespace pinboard::kernels
