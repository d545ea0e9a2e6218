// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <limits>

#include "absl/strings/str_cat.h"
#include "base/cuda/cuda_status.h"
#include "base/status_macros.h"
#include "kernels/influence/influence_core.h"
#include "kernels/influence/influence_cuda.cuh"

namespace pinboard::kernels {
namespace {

constexpr int kThreads = 256;
constexpr unsigned kAllLanes = 0xffffffffU;
constexpr std::int64_t kMaxBlocks = 1024;

unsigned Blocks(std::int64_t values) {
  return static_cast<unsigned>(std::min((values + kThreads - 1) / kThreads, kMaxBlocks));
}

/// Calls visit(i) for i in [begin, end), the blocks of a row of the grid taking turns.
template <typename Visit>
__device__ void ForEach(std::int64_t begin, std::int64_t end, Visit visit) {
  const std::int64_t step = std::int64_t{gridDim.x} * kThreads;
  for (std::int64_t i = begin + std::int64_t{blockIdx.x} * kThreads + threadIdx.x; i < end;
       i += step) {
    visit(i);
  }
}

__global__ __launch_bounds__(kThreads) void InformationKernel(InformationBatch batch) {
  const std::int64_t first = blockIdx.y * batch.tokens;  // of a layer
  ForEach(0, batch.tokens, [&](std::int64_t t) {
    const double information = InformationOf(batch.shift[first + t], batch.entropy[t], batch.tau);
    const bool fits = FitsInformation(information);
    batch.out[first + t] = fits ? ToFixed32(information, kInformationFractionBits) : 0;
    if (!fits) atomicAdd(batch.faults, 1U);
  });
}

template <typename Integer>
__device__ void AddAtomically(Integer* sum, Integer value) {
  static_assert(sizeof(Integer) == sizeof(unsigned long long));
  atomicAdd(reinterpret_cast<unsigned long long*>(sum), static_cast<unsigned long long>(value));
}

__global__ __launch_bounds__(kThreads) void AddInformationKernel(AddInformationBatch batch) {
  const int problem = static_cast<int>(blockIdx.y);
  InformationTotals* const totals = batch.totals + problem;
  InformationTotals mine;
  ForEach(batch.first[problem], batch.first[problem + 1], [&](std::int64_t t) {
    mine.exp_sum.Add(ExpInformation(batch.information[t]));
    mine.max = max(mine.max, batch.information[t]);
    mine.sum += batch.information[t];
  });
  __syncwarp();
#pragma unroll
  for (int i = 0; i < ExpSum::kDigits; ++i) {
    std::uint64_t digit = mine.exp_sum.digits[i];
    for (int apart = 16; apart > 0; apart /= 2) {
      digit += __shfl_xor_sync(kAllLanes, digit, apart);
    }
    if (threadIdx.x % 32 == 0 && digit != 0) AddAtomically(&totals->exp_sum.digits[i], digit);
  }
  for (int apart = 16; apart > 0; apart /= 2) {
    mine.max = max(mine.max, __shfl_xor_sync(kAllLanes, mine.max, apart));
    mine.sum += __shfl_xor_sync(kAllLanes, mine.sum, apart);
  }
  if (threadIdx.x % 32 != 0) return;
  atomicMax(&totals->max, mine.max);
  AddAtomically(&totals->sum, mine.sum);
}

__global__ __launch_bounds__(kThreads) void MaxAttentionKernel(FuseBatch batch) {
  const int problem = static_cast<int>(blockIdx.y);
  std::int32_t largest = std::numeric_limits<std::int32_t>::min();
  ForEach(batch.first_row[problem], batch.first_row[problem + 1],
          [&](std::int64_t r) { largest = max(largest, batch.attention[r]); });
  __syncwarp();
  for (int apart = 16; apart > 0; apart /= 2) {
    largest = max(largest, __shfl_xor_sync(kAllLanes, largest, apart));
  }
  if (threadIdx.x % 32 == 0) atomicMax(&batch.max_attention[problem], largest);
}

template <ScoreRule rule>
__global__ __launch_bounds__(kThreads) void FuseKernel(FuseBatch batch) {
  const int problem = static_cast<int>(blockIdx.y);
  const std::int64_t begin = batch.first_row[problem];
  const std::int64_t end = batch.first_row[problem + 1];
  const auto score = [&](auto score_of) {
    ForEach(begin, end, [&](std::int64_t r) { batch.score[r] = score_of(r); });
  };
  if constexpr (rule == ScoreRule::kKeepAll) {
    score([](std::int64_t) { return std::int64_t{0}; });
  } else if constexpr (rule == ScoreRule::kAttention) {
    score([&](std::int64_t r) { return WidenedScore(batch.attention[r], kAttentionFractionBits); });
  } else if constexpr (rule == ScoreRule::kInformation) {
    score([&](std::int64_t r) {
      return WidenedScore(batch.information[r], kInformationFractionBits);
    });
  } else if constexpr (rule == ScoreRule::kPublished) {
    score([&, exp_sum = batch.totals[problem].exp_sum.Value()](std::int64_t r) {
      return ToFixed64(
          PublishedScore(batch.alpha, batch.attention[r], batch.information[r], exp_sum),
          kScoreFractionBits);
    });
  } else if constexpr (rule == ScoreRule::kMaxNormalised) {
    score([&, max_attention = batch.max_attention[problem],
           max_information = batch.totals[problem].max](std::int64_t r) {
      return ToFixed64(MaxNormalisedScore(batch.alpha, batch.attention[r], max_attention,
                                          batch.information[r], max_information),
                       kScoreFractionBits);
    });
  } else if constexpr (rule == ScoreRule::kDistinct) {
    constexpr std::int64_t kReach = kPeakRows / 2;
    score([&](std::int64_t r) {
      std::int32_t peak = batch.attention[r];
      for (std::int64_t near = max(begin, r - kReach); near < min(end, r + kReach + 1); ++near) {
        peak = max(peak, batch.attention[near]);
      }
      return ToFixed64(DistinctScore(batch.alpha, peak, batch.redundancy[r]), kScoreFractionBits);
    });
  } else if constexpr (rule == ScoreRule::kRandom) {
    score([&, key = RandomKey(batch.seed, batch.layers[problem])](std::int64_t r) {
      return RandomScore(key, batch.positions[r]);
    });
  } else {
    static_assert(rule == ScoreRule::kRecency);
    score([&](std::int64_t r) { return RecencyScore(batch.positions[r]); });
  }
}

absl::Status CheckProblems(const char* operation, int problems, std::int64_t longest) {
  if (problems >= 0 && problems <= 65535 && longest >= 0) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(operation, ": ", problems,
                                                 " problems, the longest of ", longest,
                                                 " rows: at most 65,535 problems"));
}

absl::Status CheckBatch(const FuseBatch& batch) {
  const auto has = [](const void* signal, const char* name) {
    if (signal != nullptr) return absl::OkStatus();
    return absl::FailedPreconditionError(
        absl::StrCat("Fuse: the rule needs ", name, ", which was not taken"));
  };
  if (NeedsAttention(batch.rule)) PB_RETURN_IF_ERROR(has(batch.attention, "attention"));
  if (NeedsInformation(batch.rule)) PB_RETURN_IF_ERROR(has(batch.information, "information"));
  if (batch.rule == ScoreRule::kDistinct) PB_RETURN_IF_ERROR(has(batch.redundancy, "redundancy"));
  if (NeedsPositions(batch.rule)) PB_RETURN_IF_ERROR(has(batch.positions, "positions"));
  if (!(batch.alpha >= 0.0 && batch.alpha <= 1.0)) {
    return absl::InvalidArgumentError(
        absl::StrCat("Fuse: alpha is ", batch.alpha, ": it must lie in [0, 1]"));
  }
  return CheckProblems("Fuse", batch.problems, batch.longest);
}

template <ScoreRule rule>
absl::Status Launch(const FuseBatch& batch, dim3 grid, cudaStream_t stream) {
  FuseKernel<rule><<<grid, kThreads, 0, stream>>>(batch);
  return cuda::ToStatus(cudaGetLastError(), "fuse");
}

absl::Status LaunchMaxAttention(const FuseBatch& batch, dim3 grid, cudaStream_t stream) {
  // 0x80808080 is below every share of attention, which is not negative.
  const std::size_t bytes = static_cast<std::size_t>(batch.problems) * sizeof(std::int32_t);
  PB_RETURN_IF_ERROR(cuda::ToStatus(cudaMemsetAsync(batch.max_attention, 0x80, bytes, stream),
                                    "fuse: clear the maximum of attention"));
  MaxAttentionKernel<<<grid, kThreads, 0, stream>>>(batch);
  return cuda::ToStatus(cudaGetLastError(), "fuse: maximum of attention");
}

}  // namespace

absl::Status LaunchInformation(const InformationBatch& batch, cudaStream_t stream) {
  PB_RETURN_IF_ERROR(CheckProblems("Information", batch.layers, batch.tokens));
  if (batch.layers == 0 || batch.tokens == 0) return absl::OkStatus();
  const dim3 grid(Blocks(batch.tokens), static_cast<unsigned>(batch.layers));
  InformationKernel<<<grid, kThreads, 0, stream>>>(batch);
  return cuda::ToStatus(cudaGetLastError(), "information");
}

absl::Status LaunchAddInformation(const AddInformationBatch& batch, cudaStream_t stream) {
  PB_RETURN_IF_ERROR(CheckProblems("AddInformation", batch.problems, batch.longest));
  if (batch.problems == 0 || batch.longest == 0) return absl::OkStatus();
  const dim3 grid(Blocks(batch.longest), static_cast<unsigned>(batch.problems));
  AddInformationKernel<<<grid, kThreads, 0, stream>>>(batch);
  return cuda::ToStatus(cudaGetLastError(), "totals of information");
}

absl::Status LaunchFuse(const FuseBatch& batch, cudaStream_t stream) {
  PB_RETURN_IF_ERROR(CheckBatch(batch));
  if (batch.problems == 0 || batch.longest == 0) return absl::OkStatus();
  const dim3 grid(Blocks(batch.longest), static_cast<unsigned>(batch.problems));
  switch (batch.rule) {
    case ScoreRule::kKeepAll:
      return Launch<ScoreRule::kKeepAll>(batch, grid, stream);
    case ScoreRule::kAttention:
      return Launch<ScoreRule::kAttention>(batch, grid, stream);
    case ScoreRule::kInformation:
      return Launch<ScoreRule::kInformation>(batch, grid, stream);
    case ScoreRule::kPublished:
      return Launch<ScoreRule::kPublished>(batch, grid, stream);
    case ScoreRule::kMaxNormalised:
      PB_RETURN_IF_ERROR(LaunchMaxAttention(batch, grid, stream));
      return Launch<ScoreRule::kMaxNormalised>(batch, grid, stream);
    case ScoreRule::kDistinct:
      return Launch<ScoreRule::kDistinct>(batch, grid, stream);
    case ScoreRule::kRandom:
      return Launch<ScoreRule::kRandom>(batch, grid, stream);
    case ScoreRule::kRecency:
      return Launch<ScoreRule::kRecency>(batch, grid, stream);
  }
  return absl::InvalidArgumentError("Fuse: an unknown rule");
}

}  // namespace pinboard::kernels
