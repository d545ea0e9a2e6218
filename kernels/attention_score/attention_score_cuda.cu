// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <iterator>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "base/cuda/cuda_status.h"
#include "base/status_macros.h"
#include "kernels/attention_score/attention_score_core.h"
#include "kernels/attention_score/attention_score_cuda.cuh"
#include "kernels/attention_score/key_passes.cuh"

namespace pinboard::kernels {
namespace attention_score {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / 32;

/// A query's sum of exponentials over all rows, in all lanes of a warp.
__device__ SumOfExps MergedSum(const AttentionScoreBatch& batch, const Workspace& workspace,
                               std::int32_t rows, int query) {
  SumOfExps sum{-kInfinity, 0.0F};
  const int splits = (rows + kSplitRows - 1) / kSplitRows;
#pragma unroll 4
  for (int split = static_cast<int>(threadIdx.x % 32); split < splits; split += 32) {
    const std::int64_t at =
        (std::int64_t{blockIdx.z} * Splits(batch) + split) * Queries(batch) + query;
    sum.Merge(workspace.partial[at]);
  }
#pragma unroll
  for (int apart = 1; apart < 32; apart *= 2) {
    const SumOfExps other{__shfl_xor_sync(kAllLanes, sum.max, apart),
                          __shfl_xor_sync(kAllLanes, sum.sum, apart)};
    sum.Merge(other);
  }
  return sum;
}

/// Log-sum-exps in base 2, from those given or from the partial sums, a warp each. +infinity for a
/// query that attends to no row, so that it weighs nothing; -infinity stays where it attends to
/// rows of infinite keys alone, so that their weights are not finite.
__global__ __launch_bounds__(kThreads) void LogSumKernel(AttentionScoreBatch batch,
                                                         Workspace workspace) {
  const auto query = static_cast<int>(blockIdx.x * kWarps + threadIdx.x / 32);
  if (query >= Queries(batch)) return;
  const AttentionScoreProblem problem = batch.problems[blockIdx.z];
  const int per_head = QueriesPerHead(batch);
  const Head head(batch, problem, query / per_head);
  const int of_head = query % per_head;
  float log_sum = 0.0F;
  if (batch.has_log_sum_exp) {
    log_sum = problem.log_sum_exp[head.QueryIndex(of_head)] * kLog2E;
  } else {
    const SumOfExps sum = MergedSum(batch, workspace, problem.rows, query);
    log_sum = sum.max + log2f(sum.sum);
  }
  if (threadIdx.x % 32 != 0) return;
  const bool weighs_nothing = log_sum == -kInfinity && !head.SeesARow(of_head);
  workspace.log_sums[std::int64_t{blockIdx.z} * Queries(batch) + query] =
      weighs_nothing ? kInfinity : log_sum;
}

/// Adds up the planes, pools in the order of positions and rounds.
__global__ __launch_bounds__(kThreads) void PoolKernel(AttentionScoreBatch batch,
                                                       Workspace workspace, int planes) {
  __shared__ double shares[kThreads + kMaxDevicePool - 1];
  const AttentionScoreProblem problem = batch.problems[blockIdx.z];
  const std::int64_t first = std::int64_t{blockIdx.x} * kThreads;
  if (first >= problem.rows) return;
  const std::int64_t begin = max(first - batch.pool / 2, std::int64_t{0});
  const std::int64_t end =
      min(first + kThreads + batch.pool / 2, static_cast<std::int64_t>(problem.rows));
  const float* const by_plane =
      workspace.planes + std::int64_t{blockIdx.z} * planes * batch.most_rows;
  for (std::int64_t i = begin + threadIdx.x; i < end; i += kThreads) {
    double share = 0.0;
    const std::int32_t row = problem.order[i];
    for (int plane = 0; plane < planes; ++plane) {
      share += by_plane[std::int64_t{plane} * batch.most_rows + row];
    }
    shares[i - begin] = share;
  }
  __syncthreads();
  const std::int64_t at = first + threadIdx.x;
  if (at >= problem.rows) return;
  const double pooled = Pooled(shares, end - begin, at - begin, batch.pool);
  const bool is_share = IsShare(pooled, batch.window, batch.query_heads);
  if (!is_share) atomicAdd(batch.faults, 1U);
  problem.out[at] = is_share ? AttentionShare(pooled, batch.window, batch.total_query_heads) : 0;
}

absl::Status CheckBatch(const AttentionScoreBatch& batch) {
  PB_RETURN_IF_ERROR(CheckShape("AttentionScore", batch.shape));
  if (batch.query_heads <= 0 || batch.query_heads % batch.shape.kv_heads != 0 ||
      batch.total_query_heads < batch.query_heads || batch.shape.kv_heads > 1024) {
    return absl::InvalidArgumentError(absl::StrCat(
        "AttentionScore: ", batch.query_heads, " of ", batch.total_query_heads,
        " query heads over ", batch.shape.kv_heads, " KV heads: the latter must divide the first"));
  }
  if (batch.pool <= 0 || batch.pool % 2 == 0 || batch.pool > kMaxDevicePool) {
    return absl::InvalidArgumentError(absl::StrCat(
        "AttentionScore: pool is ", batch.pool, ": it must be odd and at most ", kMaxDevicePool));
  }
  if (batch.count < 0 || batch.count > 65535 || batch.most_rows < 0 || batch.window <= 0 ||
      batch.window > 65536 || batch.block_size <= 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("AttentionScore: ", batch.count, " problems of up to ", batch.most_rows,
                     " rows in blocks of ", batch.block_size, ", ", batch.window, " queries"));
  }
  constexpr int kDims[] = {32, 64, 128, 576};
  const KvShape& shape = batch.shape;
  if (shape.dtype == DType::kF32 ||
      std::find(std::begin(kDims), std::end(kDims), shape.key_dim) == std::end(kDims)) {
    return absl::UnimplementedError(absl::StrCat(
        "AttentionScore: on the device keys are 32, 64, 128 or 576 values of 16 or 8 bits, not ",
        shape.key_dim, " of ", 8 * DTypeBytes(shape.dtype)));
  }
  if (shape.dtype == DType::kF8DsMla &&
      (shape.key_dim != kDsMlaValues || shape.value_dim != kDsMlaLatent)) {
    return absl::UnimplementedError(
        absl::StrCat("AttentionScore: on the device fp8_ds_mla rows have ", kDsMlaLatent, " + ",
                     kDsMlaValues - kDsMlaLatent, " values, not ", shape.value_dim, " + ",
                     shape.key_dim - shape.value_dim));
  }
  return absl::OkStatus();
}

/// No other instruction multiplies as fast as wgmma, and no other device has it.
absl::StatusOr<const KeyPasses*> FastestPasses() {
  int device = 0;
  int major = 0;
  PB_RETURN_IF_ERROR(cuda::ToStatus(cudaGetDevice(&device), "attention score"));
  PB_RETURN_IF_ERROR(
      cuda::ToStatus(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device),
                     "attention score"));
  return major == 9 ? &kWgmmaPasses : &kMmaPasses;
}

struct Sizes {
  std::size_t partial;
  std::size_t log_sums;
  std::size_t planes;
};

Sizes WorkspaceSizes(const AttentionScoreBatch& batch, const KeyPasses& passes) {
  const auto queries = static_cast<std::size_t>(batch.count) * Queries(batch);
  const std::size_t planes =
      static_cast<std::size_t>(batch.count) * batch.shape.kv_heads * passes.planes_per_head(batch);
  return {batch.has_log_sum_exp ? 0 : queries * Splits(batch) * sizeof(SumOfExps),
          queries * sizeof(float), planes * batch.most_rows * sizeof(float)};
}

unsigned Blocks(std::int64_t threads, int of) {
  return static_cast<unsigned>((threads + of - 1) / of);
}

}  // namespace

std::size_t WorkspaceBytes(const AttentionScoreBatch& batch, const KeyPasses& passes) {
  const Sizes sizes = WorkspaceSizes(batch, passes);
  return sizes.partial + sizes.log_sums + sizes.planes;
}

absl::Status Launch(const AttentionScoreBatch& batch, const KeyPasses& passes, void* workspace,
                    cudaStream_t stream) {
  PB_RETURN_IF_ERROR(CheckBatch(batch));
  if (batch.count == 0 || batch.most_rows == 0) return absl::OkStatus();
  const Sizes sizes = WorkspaceSizes(batch, passes);
  auto* const partial = static_cast<std::byte*>(workspace);
  auto* const log_sums = partial + sizes.partial;
  const Workspace areas{reinterpret_cast<float*>(log_sums),
                        reinterpret_cast<float*>(log_sums + sizes.log_sums),
                        reinterpret_cast<SumOfExps*>(partial)};
  const auto problems = static_cast<unsigned>(batch.count);
  if (!batch.has_log_sum_exp) PB_RETURN_IF_ERROR(passes.sums(batch, areas, stream));
  const dim3 queries(Blocks(Queries(batch), kWarps), 1, problems);
  LogSumKernel<<<queries, kThreads, 0, stream>>>(batch, areas);
  PB_RETURN_IF_ERROR(cuda::ToStatus(cudaGetLastError(), "attention score: log-sums"));
  PB_RETURN_IF_ERROR(passes.shares(batch, areas, stream));
  const dim3 rows(Blocks(batch.most_rows, kThreads), 1, problems);
  PoolKernel<<<rows, kThreads, 0, stream>>>(batch, areas,
                                            batch.shape.kv_heads * passes.planes_per_head(batch));
  return cuda::ToStatus(cudaGetLastError(), "attention score: pool");
}

}  // namespace attention_score

std::size_t AttentionScoreWorkspaceBytes(const AttentionScoreBatch& batch) {
  return std::max(attention_score::WorkspaceBytes(batch, attention_score::kMmaPasses),
                  attention_score::WorkspaceBytes(batch, attention_score::kWgmmaPasses));
}

absl::Status LaunchAttentionScore(const AttentionScoreBatch& batch, void* workspace,
                                  cudaStream_t stream) {
  const auto passes = attention_score::FastestPasses();
  if (!passes.ok()) return passes.status();
  return attention_score::Launch(batch, **passes, workspace, stream);
}

}  // namespace pinboard::kernels
