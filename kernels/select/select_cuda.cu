// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include <limits>

#include "absl/strings/str_cat.h"
#include "base/cuda/cuda_status.h"
#include "base/status_macros.h"
#include "kernels/last_block.cuh"
#include "kernels/select/block_rank.cuh"
#include "kernels/select/select_core.h"
#include "kernels/select/select_cuda.cuh"
#include "kernels/select/select_tuning.h"

namespace pinboard::kernels {
namespace {

constexpr int kThreads = kSelectThreads;
constexpr int kRowsAtOnce = kSelectRowsAtOnce;

/// A boundary between classes: rows in bins before `bin` precede it, and `need` of those in `bin`.
struct Cut {
  std::int32_t bin;
  std::uint32_t need;

  __device__ bool LeavesOpen(int of_row) const { return of_row == bin && need > 0; }
};

struct ProblemState {
  std::uint32_t histogram[kScoreBins];  // 0 before each count
  std::uint32_t candidates;             // 0 between kernels
  std::uint32_t tickets;                // 0 between kernels
  std::uint32_t inner_bin_rows;         // rows in inner.bin where inner.need > 0
  Cut inner;                            // what precedes it is kept (by band_score: borderline)
  Cut outer;                            // what lies between the two is borderline
};

/// ScoreBin of a row that competes.
using Bin = std::uint16_t;
constexpr Bin kNoBin = 0xffff;
static_assert(kScoreBins < kNoBin);

struct Workspace {
  ProblemState* states;   // [problems]
  Candidate* candidates;  // [total_rows], each problem's from its first row on
  Bin* bins;              // [total_rows]
};

constexpr std::size_t StateBytes(int problems) {
  return (static_cast<std::size_t>(problems) * sizeof(ProblemState) + 15) / 16 * 16;
}

/// One problem as its blocks see it.
struct Problem {
  __device__ Problem(const SelectBatch& batch, const Workspace& workspace)
      : first(batch.first_row[blockIdx.y]),
        rows(static_cast<std::int32_t>(batch.first_row[blockIdx.y + 1] - first)),
        counts(batch.counts[blockIdx.y]),
        state(workspace.states[blockIdx.y]),
        keep_score(batch.keep_score + first),
        band_score(batch.band_score + first),
        is_protected(batch.is_protected + first),
        classes(batch.classes + first),
        candidates(workspace.candidates + first),
        bins(workspace.bins + first) {}

  /// Calls visit(row, load(row)) for the rows of this block, in all threads of it alike: beyond the
  /// end with a row that does not exist and what `Load` gives for no row.
  template <typename Held, typename Load, typename Visit>
  __device__ void ForEachRow(int rows_per_block, Held none, Load load, Visit visit) const {
    const std::int64_t begin = std::int64_t{blockIdx.x} * rows_per_block;
    for (std::int64_t at = begin; at < begin + rows_per_block && at < rows;
         at += kThreads * kRowsAtOnce) {
      Held held[kRowsAtOnce];
#pragma unroll
      for (int i = 0; i < kRowsAtOnce; ++i) {
        const std::int64_t row = at + i * kThreads + threadIdx.x;
        held[i] = row < rows ? load(row) : none;
      }
#pragma unroll
      for (int i = 0; i < kRowsAtOnce; ++i) {
        visit(static_cast<std::int32_t>(at + i * kThreads + threadIdx.x), held[i]);
      }
    }
  }

  const std::int64_t first;
  const std::int32_t rows;
  const SelectCounts counts;
  ProblemState& state;
  const std::int64_t* const keep_score;
  const std::int64_t* const band_score;
  const std::uint8_t* const is_protected;
  RowClass* const classes;
  Candidate* const candidates;
  Bin* const bins;
};

/// The rows of a block whose classes the bins leave open: few, and appended to the problem's
/// together, so that no row waits for the one before it.
class OpenRows {
 public:
  /// score: what the bins are of.
  __device__ OpenRows(const Problem& problem, const std::int64_t* score)
      : problem_(problem), score_(score) {
    if (threadIdx.x == 0) list().count = 0;
    __syncthreads();
  }
  __device__ void Append(std::int32_t row) const {
    const std::uint32_t at = atomicAdd(&list().count, 1U);
    if (at < kRoom) {
      list().rows[at] = row;
    } else {
      Write(atomicAdd(&problem_.state.candidates, 1U), row);
    }
  }
  /// By all threads of the block.
  __device__ void WriteAll() const {
    __syncthreads();
    const std::uint32_t count = min(list().count, kRoom);
    if (threadIdx.x == 0) list().first = atomicAdd(&problem_.state.candidates, count);
    __syncthreads();
    for (std::uint32_t i = threadIdx.x; i < count; i += kThreads) {
      Write(list().first + i, list().rows[i]);
    }
  }

 private:
  static constexpr std::uint32_t kRoom = 1024;
  struct List {
    std::uint32_t count;
    std::uint32_t first;
    std::int32_t rows[kRoom];
  };
  __device__ static List& list() {
    __shared__ List only;
    return only;
  }
  __device__ void Write(std::uint32_t at, std::int32_t row) const {
    problem_.candidates[at] = {DescendingKey(score_[row]), row};
  }

  const Problem& problem_;
  const std::int64_t* const score_;
};

/// A block's share of a problem's histogram, in shared memory.
class Histogram {
 public:
  __device__ Histogram() {
    for (int b = static_cast<int>(threadIdx.x); b < kScoreBins; b += kThreads) bins()[b] = 0;
    __syncthreads();
  }
  /// What follows when the histogram has been added to the problem's may use its place.
  __device__ static Ranking::Space& ranking_space() { return shared().ranking; }
  __device__ void Count(int bin) const { atomicAdd(&bins()[bin], 1U); }
  /// By all threads of the block.
  __device__ void AddTo(std::uint32_t* histogram) const {
    __syncthreads();
    for (int b = static_cast<int>(threadIdx.x); b < kScoreBins; b += kThreads) {
      if (bins()[b] != 0) atomicAdd(&histogram[b], bins()[b]);
    }
  }
  /// Takes a problem's whole histogram, which is 0 then, and finds the places of two ranks in it.
  template <typename RanksOf>
  __device__ Places<kScoreBins, 2> Take(std::uint32_t* histogram, RanksOf ranks_of) const {
    __syncthreads();
    constexpr int kOfThread = (kScoreBins + kThreads - 1) / kThreads;
    std::uint32_t counts[kOfThread];
#pragma unroll
    for (int i = 0; i < kOfThread; ++i) {
      const int b = i * kThreads + static_cast<int>(threadIdx.x);
      counts[i] = b < kScoreBins ? __ldcg(&histogram[b]) : 0;
    }
#pragma unroll
    for (int i = 0; i < kOfThread; ++i) {
      const int b = i * kThreads + static_cast<int>(threadIdx.x);
      if (b >= kScoreBins) break;
      bins()[b] = counts[i];
      histogram[b] = 0;
    }
    __syncthreads();
    return Places<kScoreBins, 2>::Find(bins(), ranks_of);
  }

 private:
  union Shared {
    std::uint32_t bins[kScoreBins];
    Ranking::Space ranking;
  };
  __device__ static Shared& shared() {
    __shared__ Shared all;
    return all;
  }
  __device__ static std::uint32_t* bins() { return shared().bins; }
};

/// By the last block of a problem: its cuts, so many rows of those counted before each.
template <typename RanksOf>
__device__ void FindCuts(const Histogram& histogram, ProblemState& state, RanksOf ranks_of) {
  std::uint32_t ranks[2] = {};
  const Places<kScoreBins, 2> places =
      histogram.Take(state.histogram, [&](std::uint32_t all, std::uint32_t(&wanted)[2]) {
        ranks_of(all, wanted);
        ranks[0] = wanted[0];
        ranks[1] = wanted[1];
      });
  if (threadIdx.x != 0) return;
  const Place& inner = places.at[0];
  const Place& outer = places.at[1];
  state.inner = {inner.bin, inner.inside > 0 ? ranks[0] - inner.before : 0};
  state.outer = {outer.bin, outer.inside > 0 ? ranks[1] - outer.before : 0};
  state.inner_bin_rows = state.inner.need > 0 ? inner.inside : 0;
}

/// Bins the rows that are not protected by keep_score.
__global__ __launch_bounds__(kThreads, kSelectBlocks) void CountKernel(SelectBatch batch,
                                                                       Workspace workspace,
                                                                       int rows_per_block) {
  const Problem problem(batch, workspace);
  const Histogram histogram;
  struct Row {
    std::int64_t score;
    bool competes;
  };
  problem.ForEachRow(
      rows_per_block, Row{0, false},
      [&](std::int64_t row) {
        return Row{problem.keep_score[row], problem.is_protected[row] == 0};
      },
      [&](std::int32_t row, const Row& held) {
        const int bin = ScoreBin(held.score);
        if (held.competes) histogram.Count(bin);
        if (row < problem.rows) problem.bins[row] = held.competes ? static_cast<Bin>(bin) : kNoBin;
      });
  histogram.AddTo(problem.state.histogram);
  if (!IsLastBlock(&problem.state.tickets, gridDim.x)) return;
  FindCuts(histogram, problem.state, [&](std::uint32_t competitors, std::uint32_t(&ranks)[2]) {
    const std::uint32_t protected_rows = static_cast<std::uint32_t>(problem.rows) - competitors;
    const auto keep = static_cast<std::uint32_t>(problem.counts.keep);
    ranks[0] = keep > protected_rows ? keep - protected_rows : 0;
    ranks[1] = ranks[0] + static_cast<std::uint32_t>(problem.counts.near);  // below 2^32
  });
}

/// Gives the candidates of a problem their classes, by its last block, and calls visit(row, class).
template <typename Visit>
__device__ void ClassifyCandidates(const Problem& problem, Ranking::Space& space,
                                   RowClass inner_class, Visit visit) {
  ProblemState& state = problem.state;
  const std::uint32_t count = __ldcg(&state.candidates);
  __syncthreads();
  if (threadIdx.x == 0) state.candidates = 0;
  if (count == 0) return;
  const std::uint32_t inner = state.inner.need;
  const std::uint32_t outer =
      state.outer.need + (state.outer.bin == state.inner.bin ? 0 : state.inner_bin_rows);
  const Ranking ranking(problem.candidates, count, space);
  const Threshold nothing{0, -1};
  const Threshold to_inner = inner > 0 ? ranking.Find(inner) : nothing;
  const Threshold to_outer = outer == inner ? to_inner : outer > 0 ? ranking.Find(outer) : nothing;
  ranking.ForEach([&](const Candidate& c) {
    const RowClass to = to_inner.Reached(c)   ? inner_class
                        : to_outer.Reached(c) ? RowClass::kBorderline
                                              : RowClass::kDropped;
    problem.classes[c.row] = to;
    visit(c.row, to);
  });
}

/// The class of a row that the bins settle, where it has one.
__device__ RowClass ClassOf(int bin, const Cut& inner, const Cut& outer, RowClass inner_class) {
  return bin < inner.bin   ? inner_class
         : bin < outer.bin ? RowClass::kBorderline
                           : RowClass::kDropped;
}

/// Gives every row its class by keep_score, and bins those that are dropped by band_score.
template <bool kHasFar>
__global__ __launch_bounds__(kThreads, kSelectBlocks) void KeepKernel(SelectBatch batch,
                                                                      Workspace workspace,
                                                                      int rows_per_block) {
  const Problem problem(batch, workspace);
  const Histogram histogram;
  const OpenRows open(problem, problem.keep_score);
  const Cut inner = problem.state.inner;
  const Cut outer = problem.state.outer;
  const bool has_far = kHasFar && problem.counts.far > 0;
  struct Row {
    std::int64_t band_score;
    Bin bin;
  };
  problem.ForEachRow(
      rows_per_block, Row{0, kNoBin},
      [&](std::int64_t row) {
        return Row{has_far ? problem.band_score[row] : 0, problem.bins[row]};
      },
      [&](std::int32_t row, const Row& held) {
        const bool competes = held.bin != kNoBin;
        const bool is_open = competes && (inner.LeavesOpen(held.bin) || outer.LeavesOpen(held.bin));
        if (is_open) open.Append(row);
        if (row >= problem.rows || is_open) return;
        const RowClass to =
            competes ? ClassOf(held.bin, inner, outer, RowClass::kKept) : RowClass::kKept;
        problem.classes[row] = to;
        if (!has_far) return;
        const int bin = ScoreBin(held.band_score);
        if (to == RowClass::kDropped) histogram.Count(bin);
        problem.bins[row] = to == RowClass::kDropped ? static_cast<Bin>(bin) : kNoBin;
      });
  open.WriteAll();
  if (has_far) histogram.AddTo(problem.state.histogram);
  if (!IsLastBlock(&problem.state.tickets, gridDim.x)) return;
  ClassifyCandidates(
      problem, Histogram::ranking_space(), RowClass::kKept, [&](std::int32_t row, RowClass to) {
        if (!has_far) return;
        const int bin = ScoreBin(problem.band_score[row]);
        if (to == RowClass::kDropped) atomicAdd(&problem.state.histogram[bin], 1U);
        problem.bins[row] = to == RowClass::kDropped ? static_cast<Bin>(bin) : kNoBin;
      });
  if (!has_far) return;
  __threadfence();
  FindCuts(histogram, problem.state, [&](std::uint32_t, std::uint32_t(&ranks)[2]) {
    ranks[0] = ranks[1] = static_cast<std::uint32_t>(problem.counts.far);
  });
}

/// Makes those of the dropped rows borderline that come first by band_score.
__global__ __launch_bounds__(kThreads, kSelectBlocks) void BandKernel(SelectBatch batch,
                                                                      Workspace workspace,
                                                                      int rows_per_block) {
  const Problem problem(batch, workspace);
  if (problem.counts.far == 0) return;
  const OpenRows open(problem, problem.band_score);
  const Cut cut = problem.state.inner;
  problem.ForEachRow(
      rows_per_block, kNoBin, [&](std::int64_t row) { return problem.bins[row]; },
      [&](std::int32_t row, Bin bin) {
        if (cut.LeavesOpen(bin)) open.Append(row);
        if (bin < cut.bin) problem.classes[row] = RowClass::kBorderline;
      });
  open.WriteAll();
  if (!IsLastBlock(&problem.state.tickets, gridDim.x)) return;
  __shared__ Ranking::Space space;
  ClassifyCandidates(problem, space, RowClass::kBorderline, [](std::int32_t, RowClass) {});
}

}  // namespace

std::size_t SelectWorkspaceBytes(int problems, std::int64_t total_rows) {
  return StateBytes(problems) +
         static_cast<std::size_t>(total_rows) * (sizeof(Candidate) + sizeof(Bin));
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
  const int rows_per_block = SelectRowsPerBlock(batch.total_rows, batch.problems, multiprocessors);
  auto* const states = static_cast<std::byte*>(workspace);
  auto* const candidates = states + StateBytes(batch.problems);
  const Workspace areas{reinterpret_cast<ProblemState*>(states),
                        reinterpret_cast<Candidate*>(candidates),
                        reinterpret_cast<Bin*>(candidates + batch.total_rows * sizeof(Candidate))};
  PB_RETURN_IF_ERROR(cuda::ToStatus(
      cudaMemsetAsync(workspace, 0, StateBytes(batch.problems), stream), "select: clear"));
  const dim3 grid(static_cast<unsigned>((batch.longest + rows_per_block - 1) / rows_per_block),
                  static_cast<unsigned>(batch.problems));
  CountKernel<<<grid, kThreads, 0, stream>>>(batch, areas, rows_per_block);
  PB_RETURN_IF_ERROR(cuda::ToStatus(cudaGetLastError(), "select: count"));
  const auto keep = batch.has_far ? KeepKernel<true> : KeepKernel<false>;
  keep<<<grid, kThreads, 0, stream>>>(batch, areas, rows_per_block);
  PB_RETURN_IF_ERROR(cuda::ToStatus(cudaGetLastError(), "select: keep"));
  if (!batch.has_far) return absl::OkStatus();
  BandKernel<<<grid, kThreads, 0, stream>>>(batch, areas, rows_per_block);
  return cuda::ToStatus(cudaGetLastError(), "select: band");
}

}  // namespace pinboard::kernels
