// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <limits>

#include "absl/strings/str_cat.h"
#include "base/cuda/cuda_status.h"
#include "base/status_macros.h"
#include "kernels/attention_score/attention_score_core.h"
#include "kernels/attention_score/attention_score_cuda.cuh"
#include "kernels/attention_score/row_products.cuh"
#include "kernels/paged_rows.h"

namespace pinboard::kernels {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / 32;
constexpr unsigned kAllLanes = 0xffffffffU;
constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kLog2E = 1.44269504F;
constexpr int kSplitRows = 1024;  // rows over which one block sums exponentials

constexpr std::int32_t kUnseen = std::numeric_limits<std::int32_t>::max();    // of a row
constexpr std::int32_t kSeesNone = std::numeric_limits<std::int32_t>::min();  // of a query

/// How rows of kDim values are cut: those in registers, and those in shared memory, which are
/// worked on while the next as many come in.
template <int kDim>
struct Cut {
  static constexpr int kTiles = kDim <= 128 ? 2 : 1;
  static constexpr int kHeld = 16 * kTiles * kWarps;  // by a block
  static constexpr int kShared = kDim <= 128 ? 64 : 16;
  static constexpr int kBytes = kShared * kSharedStride<kDim>;
  static constexpr int kBlocks = kDim <= 128 ? 2 : 1;  // that a multiprocessor runs at once
};

/// A query's maximum of the logits (in base 2) and the sum of 2^(logit - maximum).
struct SumOfExps {
  float max;
  float sum;

  __device__ void Merge(const SumOfExps& other) {
    const float both = other.max > max ? other.max : max;
    if (both == -kInfinity) return;
    sum = sum * Exp2(max - both) + other.sum * Exp2(other.max - both);
    max = both;
  }
};

/// Queries count by KV head, then position in the window, then head of the group.
struct Workspace {
  float* log_sums;     // [problems, queries], in base 2
  float* shares;       // [problems, kv_heads, most_rows]
  SumOfExps* partial;  // [problems, splits, queries]
};

__host__ __device__ int Queries(const AttentionScoreBatch& batch) {
  return batch.window * batch.query_heads;
}
__host__ __device__ int Splits(const AttentionScoreBatch& batch) {
  return (batch.most_rows + kSplitRows - 1) / kSplitRows;
}

/// One KV head of one problem, and the queries that read it.
class Head {
 public:
  __device__ Head(const AttentionScoreBatch& batch, const AttentionScoreProblem& problem,
                  int kv_head)
      : problem_(problem),
        block_size_(batch.block_size),
        key_dim_(batch.shape.key_dim),
        query_heads_(batch.query_heads),
        group_(batch.query_heads / batch.shape.kv_heads),
        kv_head_(kv_head),
        queries_(batch.window * group_) {}

  __device__ int queries() const { return queries_; }
  __device__ int first_query() const { return kv_head_ * queries_; }

  __device__ const void* Key(std::int32_t row) const {
    if (row >= problem_.rows) return nullptr;
    return RowAddress(problem_.cache.key, problem_.block_table, block_size_, row, kv_head_);
  }
  /// Null for a row beyond the end, whose position is kUnseen.
  __device__ const std::int32_t* PositionOfKey(std::int32_t row) const {
    return row < problem_.rows ? problem_.row_positions + row : nullptr;
  }
  /// Among the queries [window, query_heads] of the problem.
  __device__ std::int64_t QueryIndex(int query) const {
    return std::int64_t{query / group_} * query_heads_ + kv_head_ * group_ + query % group_;
  }
  __device__ const void* Query(int query) const {
    return query < queries_ ? problem_.queries + QueryIndex(query) * key_dim_ : nullptr;
  }
  /// Null for a query beyond the last, whose position is kSeesNone.
  __device__ const std::int32_t* PositionOfQuery(int query) const {
    return query < queries_ ? problem_.query_positions + query / group_ : nullptr;
  }
  __device__ bool SeesARow(int query) const {
    return problem_.rows > 0 &&
           problem_.row_positions[problem_.order[0]] <= *PositionOfQuery(query);
  }

 private:
  const AttentionScoreProblem& problem_;
  const int block_size_;
  const int key_dim_;
  const int query_heads_;
  const int group_;
  const int kv_head_;
  const int queries_;
};

__device__ std::int32_t ValueOr(const std::int32_t* at, std::int32_t otherwise) {
  return at == nullptr ? otherwise : *at;
}

/// Sums of exponentials of a block's queries (in registers) over one split of the rows.
template <int kDim>
__global__ __launch_bounds__(kThreads,
                             Cut<kDim>::kBlocks) void SumExpsKernel(AttentionScoreBatch batch,
                                                                    Workspace workspace) {
  using Shape = Cut<kDim>;
  constexpr int kGroups = 2;  // of 8 rows, whose maximum is taken together
  alignas(16) __shared__ std::byte all_keys[2][Shape::kBytes];
  __shared__ std::int32_t all_positions[2][Shape::kShared];
  const AttentionScoreProblem problem = batch.problems[blockIdx.z];
  const int chunks = (Queries(batch) / batch.shape.kv_heads + Shape::kHeld - 1) / Shape::kHeld;
  const Head head(batch, problem, static_cast<int>(blockIdx.y) / chunks);
  const int lane = static_cast<int>(threadIdx.x % 32);
  const int first = static_cast<int>(blockIdx.y) % chunks * Shape::kHeld +
                    static_cast<int>(threadIdx.x / 32) * 16 * Shape::kTiles;
  const std::int32_t begin = static_cast<std::int32_t>(blockIdx.x) * kSplitRows;
  const std::int32_t end = min(begin + kSplitRows, problem.rows);
  const float scale = batch.scale * kLog2E;

  HeldRows<kDim, Shape::kTiles> queries;
  queries.Load([&](int q) { return head.Query(first + q); });
  std::int32_t limit[Shape::kTiles][2];
  SumOfExps sums[Shape::kTiles][2];
#pragma unroll
  for (int tile = 0; tile < Shape::kTiles; ++tile) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      limit[tile][half] =
          ValueOr(head.PositionOfQuery(first + 16 * tile + 8 * half + lane / 4), kSeesNone);
      sums[tile][half] = {-kInfinity, 0.0F};
    }
  }

  const auto begin_stage = [&](int stage) {
    const std::int32_t row = begin + stage * Shape::kShared;
    BeginRows<kDim, Shape::kShared, kThreads>(all_keys[stage % 2],
                                              [&](int r) { return head.Key(row + r); });
    if (threadIdx.x < Shape::kShared) {
      const auto r = static_cast<std::int32_t>(threadIdx.x);
      BeginCopy(&all_positions[stage % 2][r], head.PositionOfKey(row + r), kUnseen);
    }
  };
  const int stages = (end - begin + Shape::kShared - 1) / Shape::kShared;
  if (stages > 0) begin_stage(0);
  for (int stage = 0; stage < stages; ++stage) {
    WaitForCopies();
    __syncthreads();
    if (stage + 1 < stages) begin_stage(stage + 1);
    const std::byte* const keys = all_keys[stage % 2];
    const std::int32_t* const positions = all_positions[stage % 2];
#pragma unroll 1
    for (int group = 0; group < Shape::kShared / 8; group += kGroups) {
      float logits[kGroups][Shape::kTiles][4];
#pragma unroll
      for (int g = 0; g < kGroups; ++g) {
        queries.template Multiply<kSharedStride<kDim>>(keys + (group + g) * 8 * kSharedStride<kDim>,
                                                       logits[g]);
      }
#pragma unroll
      for (int tile = 0; tile < Shape::kTiles; ++tile) {
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          SumOfExps& sum = sums[tile][half];
          float max = sum.max;
#pragma unroll
          for (int g = 0; g < kGroups; ++g) {
#pragma unroll
            for (int c = 0; c < 2; ++c) {
              float& logit = logits[g][tile][2 * half + c];
              const bool seen = positions[(group + g) * 8 + lane % 4 * 2 + c] <= limit[tile][half];
              logit = seen ? logit * scale : -kInfinity;
              max = logit > max ? logit : max;
            }
          }
          const float base = max == -kInfinity ? 0.0F : max;
          sum.sum *= Exp2(sum.max - base);
          sum.max = max;
#pragma unroll
          for (int g = 0; g < kGroups; ++g) {
#pragma unroll
            for (int c = 0; c < 2; ++c) sum.sum += Exp2(logits[g][tile][2 * half + c] - base);
          }
        }
      }
    }
  }

  SumOfExps* const partial =
      workspace.partial + (std::int64_t{blockIdx.z} * Splits(batch) + blockIdx.x) * Queries(batch) +
      head.first_query();
#pragma unroll
  for (int tile = 0; tile < Shape::kTiles; ++tile) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      SumOfExps sum = sums[tile][half];
#pragma unroll
      for (int apart = 1; apart < 4; apart *= 2) {
        const SumOfExps other{__shfl_xor_sync(kAllLanes, sum.max, apart),
                              __shfl_xor_sync(kAllLanes, sum.sum, apart)};
        sum.Merge(other);
      }
      const int query = first + 16 * tile + 8 * half + lane / 4;
      if (lane % 4 == 0 && query < head.queries()) partial[query] = sum;
    }
  }
}

/// A query's sum of exponentials over all rows.
__device__ SumOfExps MergedSum(const AttentionScoreBatch& batch, const Workspace& workspace,
                               std::int32_t rows, int query) {
  SumOfExps sum{-kInfinity, 0.0F};
  const int splits = (rows + kSplitRows - 1) / kSplitRows;
  for (int split = 0; split < splits; ++split) {
    const std::int64_t at =
        (std::int64_t{blockIdx.z} * Splits(batch) + split) * Queries(batch) + query;
    sum.Merge(workspace.partial[at]);
  }
  return sum;
}

/// Log-sum-exps in base 2, from those given or from the partial sums. +infinity for a query that
/// attends to no row, so that it weighs nothing; -infinity stays where it attends to rows of
/// infinite keys alone, so that their weights are not finite.
__global__ __launch_bounds__(kThreads) void LogSumKernel(AttentionScoreBatch batch,
                                                         Workspace workspace) {
  const auto query = static_cast<int>(blockIdx.x * kThreads + threadIdx.x);
  if (query >= Queries(batch)) return;
  const AttentionScoreProblem problem = batch.problems[blockIdx.z];
  const int per_head = Queries(batch) / batch.shape.kv_heads;
  const Head head(batch, problem, query / per_head);
  const int of_head = query % per_head;
  float log_sum = 0.0F;
  if (batch.has_log_sum_exp) {
    log_sum = problem.log_sum_exp[head.QueryIndex(of_head)] * kLog2E;
  } else {
    const SumOfExps sum = MergedSum(batch, workspace, problem.rows, query);
    log_sum = sum.max + log2f(sum.sum);
  }
  const bool weighs_nothing = log_sum == -kInfinity && !head.SeesARow(of_head);
  workspace.log_sums[std::int64_t{blockIdx.z} * Queries(batch) + query] =
      weighs_nothing ? kInfinity : log_sum;
}

/// Sums over all queries of the weights of a block's rows (in registers).
template <int kDim>
__global__ __launch_bounds__(kThreads,
                             Cut<kDim>::kBlocks) void SharesKernel(AttentionScoreBatch batch,
                                                                   Workspace workspace) {
  using Shape = Cut<kDim>;
  alignas(16) __shared__ std::byte all_queries[2][Shape::kBytes];
  __shared__ float all_log_sums[2][Shape::kShared];
  __shared__ std::int32_t all_positions[2][Shape::kShared];
  const AttentionScoreProblem problem = batch.problems[blockIdx.z];
  const Head head(batch, problem, static_cast<int>(blockIdx.y));
  if (static_cast<std::int32_t>(blockIdx.x) * Shape::kHeld >= problem.rows) return;
  const int lane = static_cast<int>(threadIdx.x % 32);
  const std::int32_t first = static_cast<std::int32_t>(blockIdx.x) * Shape::kHeld +
                             static_cast<int>(threadIdx.x / 32) * 16 * Shape::kTiles;
  const float scale = batch.scale * kLog2E;
  const float* const log_sums_of_head =
      workspace.log_sums + std::int64_t{blockIdx.z} * Queries(batch) + head.first_query();

  HeldRows<kDim, Shape::kTiles> keys;
  keys.Load([&](int r) { return head.Key(first + r); });
  std::int32_t position[Shape::kTiles][2];
  float shares[Shape::kTiles][2] = {};
#pragma unroll
  for (int tile = 0; tile < Shape::kTiles; ++tile) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      position[tile][half] =
          ValueOr(head.PositionOfKey(first + 16 * tile + 8 * half + lane / 4), kUnseen);
    }
  }

  const auto begin_stage = [&](int stage) {
    const int query = stage * Shape::kShared;
    BeginRows<kDim, Shape::kShared, kThreads>(all_queries[stage % 2],
                                              [&](int q) { return head.Query(query + q); });
    if (threadIdx.x < Shape::kShared) {
      const auto q = static_cast<int>(threadIdx.x);
      const float* const log_sum =
          query + q < head.queries() ? log_sums_of_head + query + q : nullptr;
      BeginCopy(&all_log_sums[stage % 2][q], log_sum, kInfinity);
      BeginCopy(&all_positions[stage % 2][q], head.PositionOfQuery(query + q), kSeesNone);
    }
  };
  const int stages = (head.queries() + Shape::kShared - 1) / Shape::kShared;
  begin_stage(0);
  for (int stage = 0; stage < stages; ++stage) {
    WaitForCopies();
    __syncthreads();
    if (stage + 1 < stages) begin_stage(stage + 1);
    const std::byte* const queries = all_queries[stage % 2];
    const float* const log_sums = all_log_sums[stage % 2];
    const std::int32_t* const positions = all_positions[stage % 2];
#pragma unroll 1
    for (int group = 0; group < Shape::kShared; group += 8) {
      float logits[Shape::kTiles][4];
      keys.template Multiply<kSharedStride<kDim>>(queries + group * kSharedStride<kDim>, logits);
#pragma unroll
      for (int c = 0; c < 2; ++c) {
        const float log_sum = log_sums[group + lane % 4 * 2 + c];
        const std::int32_t limit = positions[group + lane % 4 * 2 + c];
#pragma unroll
        for (int tile = 0; tile < Shape::kTiles; ++tile) {
#pragma unroll
          for (int half = 0; half < 2; ++half) {
            const float weight = Exp2(__fmaf_rn(logits[tile][2 * half + c], scale, -log_sum));
            shares[tile][half] += position[tile][half] <= limit ? weight : 0.0F;
          }
        }
      }
    }
  }

  float* const out =
      workspace.shares +
      (std::int64_t{blockIdx.z} * batch.shape.kv_heads + blockIdx.y) * batch.most_rows;
#pragma unroll
  for (int tile = 0; tile < Shape::kTiles; ++tile) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float share = shares[tile][half];
      share += __shfl_xor_sync(kAllLanes, share, 1);
      share += __shfl_xor_sync(kAllLanes, share, 2);
      const std::int32_t row = first + 16 * tile + 8 * half + lane / 4;
      if (lane % 4 == 0 && row < problem.rows) out[row] = share;
    }
  }
}

/// Adds up the KV heads, pools in the order of positions and rounds.
__global__ __launch_bounds__(kThreads) void PoolKernel(AttentionScoreBatch batch,
                                                       Workspace workspace) {
  __shared__ double shares[kThreads + kMaxDevicePool - 1];
  const AttentionScoreProblem problem = batch.problems[blockIdx.z];
  const std::int64_t first = std::int64_t{blockIdx.x} * kThreads;
  if (first >= problem.rows) return;
  const std::int64_t begin = max(first - batch.pool / 2, std::int64_t{0});
  const std::int64_t end =
      min(first + kThreads + batch.pool / 2, static_cast<std::int64_t>(problem.rows));
  const float* const by_head =
      workspace.shares + std::int64_t{blockIdx.z} * batch.shape.kv_heads * batch.most_rows;
  for (std::int64_t i = begin + threadIdx.x; i < end; i += kThreads) {
    double share = 0.0;
    for (int head = 0; head < batch.shape.kv_heads; ++head) {
      share += by_head[std::int64_t{head} * batch.most_rows + problem.order[i]];
    }
    shares[i - begin] = share;
  }
  __syncthreads();
  const std::int64_t at = first + threadIdx.x;
  if (at >= problem.rows) return;
  const double pooled = Pooled(shares, end - begin, at - begin, batch.pool);
  const bool is_finite = pooled <= std::numeric_limits<double>::max();
  if (!is_finite) atomicAdd(batch.faults, 1U);
  problem.out[at] = is_finite ? AttentionShare(pooled, batch.window, batch.total_query_heads) : 0;
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
  return absl::OkStatus();
}

unsigned Blocks(std::int64_t threads, int of) {
  return static_cast<unsigned>((threads + of - 1) / of);
}

template <int kDim>
absl::Status Launch(const AttentionScoreBatch& batch, const Workspace& workspace,
                    cudaStream_t stream) {
  using Shape = Cut<kDim>;
  const auto problems = static_cast<unsigned>(batch.count);
  const auto heads = static_cast<unsigned>(batch.shape.kv_heads);
  const int per_head = Queries(batch) / batch.shape.kv_heads;
  if (!batch.has_log_sum_exp) {
    const dim3 grid(static_cast<unsigned>(Splits(batch)), heads * Blocks(per_head, Shape::kHeld),
                    problems);
    SumExpsKernel<kDim><<<grid, kThreads, 0, stream>>>(batch, workspace);
    PB_RETURN_IF_ERROR(cuda::ToStatus(cudaGetLastError(), "attention score: sums"));
  }
  const dim3 queries(Blocks(Queries(batch), kThreads), 1, problems);
  LogSumKernel<<<queries, kThreads, 0, stream>>>(batch, workspace);
  PB_RETURN_IF_ERROR(cuda::ToStatus(cudaGetLastError(), "attention score: log-sums"));
  const dim3 keys(Blocks(batch.most_rows, Shape::kHeld), heads, problems);
  SharesKernel<kDim><<<keys, kThreads, 0, stream>>>(batch, workspace);
  PB_RETURN_IF_ERROR(cuda::ToStatus(cudaGetLastError(), "attention score: shares"));
  const dim3 rows(Blocks(batch.most_rows, kThreads), 1, problems);
  PoolKernel<<<rows, kThreads, 0, stream>>>(batch, workspace);
  return cuda::ToStatus(cudaGetLastError(), "attention score: pool");
}

struct Sizes {
  std::size_t partial;
  std::size_t log_sums;
  std::size_t shares;
};

Sizes WorkspaceSizes(const AttentionScoreBatch& batch) {
  const auto queries = static_cast<std::size_t>(batch.count) * Queries(batch);
  return {batch.has_log_sum_exp ? 0 : queries * Splits(batch) * sizeof(SumOfExps),
          queries * sizeof(float),
          static_cast<std::size_t>(batch.count) * batch.shape.kv_heads * batch.most_rows *
              sizeof(float)};
}

}  // namespace

std::size_t AttentionScoreWorkspaceBytes(const AttentionScoreBatch& batch) {
  const Sizes sizes = WorkspaceSizes(batch);
  return sizes.partial + sizes.log_sums + sizes.shares;
}

absl::Status LaunchAttentionScore(const AttentionScoreBatch& batch, void* workspace,
                                  cudaStream_t stream) {
  PB_RETURN_IF_ERROR(CheckBatch(batch));
  if (batch.count == 0 || batch.most_rows == 0) return absl::OkStatus();
  const Sizes sizes = WorkspaceSizes(batch);
  auto* const partial = static_cast<std::byte*>(workspace);
  auto* const log_sums = partial + sizes.partial;
  const Workspace areas{reinterpret_cast<float*>(log_sums),
                        reinterpret_cast<float*>(log_sums + sizes.log_sums),
                        reinterpret_cast<SumOfExps*>(partial)};
  const int dim = batch.shape.dtype == DType::kBF16 ? batch.shape.key_dim : 0;
  switch (dim) {
    case 32:
      return Launch<32>(batch, areas, stream);
    case 64:
      return Launch<64>(batch, areas, stream);
    case 128:
      return Launch<128>(batch, areas, stream);
    case 576:
      return Launch<576>(batch, areas, stream);
    default:
      return absl::UnimplementedError(
          "AttentionScore: on the device keys are bf16 of 32, 64, 128 or 576 values");
  }
}

}  // namespace pinboard::kernels
