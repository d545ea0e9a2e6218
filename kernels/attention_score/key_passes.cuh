// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What the kernels behind LaunchAttentionScore share: the two passes over the keys, and what they
// leave for the steps around them.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <limits>

#include "absl/status/status.h"
#include "base/cuda/tensor_core.cuh"
#include "kernels/attention_score/attention_score_cuda.cuh"
#include "kernels/key_values.h"
#include "kernels/paged_rows.h"

namespace pinboard::kernels::attention_score {

inline constexpr unsigned kAllLanes = 0xffffffffU;
inline constexpr float kInfinity = std::numeric_limits<float>::infinity();
inline constexpr float kLog2E = 1.44269504F;
inline constexpr int kDsMlaValues = 576;  // of a key of kF8DsMla
inline constexpr int kDsMlaLatent = 512;  // of them
inline constexpr int kSplitRows = 1024;   // rows over which exponentials are summed before a merge

inline constexpr std::int32_t kUnseen = std::numeric_limits<std::int32_t>::max();    // of a row
inline constexpr std::int32_t kSeesNone = std::numeric_limits<std::int32_t>::min();  // of a query

/// A query's maximum of the logits (in base 2), or some logit not far below it, and the sum of
/// 2^(logit - max).
struct SumOfExps {
  float max;
  float sum;

  __device__ void Merge(const SumOfExps& other) {
    const float both = other.max > max ? other.max : max;
    if (both == -kInfinity) return;
    sum = sum * cuda::Exp2(max - both) + other.sum * cuda::Exp2(other.max - both);
    max = both;
  }
};

/// Device memory between the kernels. Queries count by KV head, then position in the window, then
/// head of the group. A plane holds the weights of each row summed over some queries of a KV head.
struct Workspace {
  float* log_sums;     // [problems, queries], in base 2
  float* planes;       // [problems, kv_heads, planes of a head, most_rows]
  SumOfExps* partial;  // [problems, splits, queries]
};

__host__ __device__ inline int Queries(const AttentionScoreBatch& batch) {
  return batch.window * batch.query_heads;
}
__host__ __device__ inline int QueriesPerHead(const AttentionScoreBatch& batch) {
  return Queries(batch) / batch.shape.kv_heads;
}
__host__ __device__ inline int Splits(const AttentionScoreBatch& batch) {
  return (batch.most_rows + kSplitRows - 1) / kSplitRows;
}

/// The two passes over the keys, by one kind of tensor core instruction. Each launches one kernel.
struct KeyPasses {
  using Launch = absl::Status (*)(const AttentionScoreBatch&, const Workspace&, cudaStream_t);

  Launch sums;    // writes workspace.partial
  Launch shares;  // reads workspace.log_sums, writes workspace.planes
  int (*planes_per_head)(const AttentionScoreBatch&);
};

/// mma.sync, on any device from sm_80.
extern const KeyPasses kMmaPasses;
/// wgmma, on sm_90 alone.
extern const KeyPasses kWgmmaPasses;

std::size_t WorkspaceBytes(const AttentionScoreBatch& batch, const KeyPasses& passes);

/// LaunchAttentionScore by the given passes.
absl::Status Launch(const AttentionScoreBatch& batch, const KeyPasses& passes, void* workspace,
                    cudaStream_t stream);

/// One KV head of one problem, and the queries that read it.
class Head {
 public:
  __device__ Head(const AttentionScoreBatch& batch, const AttentionScoreProblem& problem,
                  int kv_head)
      : problem_(problem),
        block_size_(batch.block_size),
        key_dim_(batch.shape.key_dim),
        key_scale_(FormatOf(batch.shape, problem.cache.key, kv_head).scale),
        query_heads_(batch.query_heads),
        group_(batch.query_heads / batch.shape.kv_heads),
        kv_head_(kv_head),
        queries_(batch.window * group_) {}

  __device__ int queries() const { return queries_; }
  __device__ int first_query() const { return kv_head_ * queries_; }

  /// A factor of all logits.
  __device__ float key_scale() const { return key_scale_; }
  __device__ const void* Key(std::int32_t row) const {
    if (row >= problem_.rows) return nullptr;
    return RowAddress(problem_.cache.key, problem_.block_table, block_size_, row, kv_head_);
  }
  /// The block of the cache that holds a row, negative for a row beyond the end.
  __device__ std::int32_t BlockOf(std::int32_t row) const {
    return row < problem_.rows ? problem_.block_table[row / block_size_] : -1;
  }
  /// Key(row), given BlockOf(row).
  __device__ const void* KeyIn(std::int32_t block, std::int32_t row) const {
    if (block < 0) return nullptr;
    const KvPlane& plane = problem_.cache.key;
    return plane.base + block * plane.block_stride + row % block_size_ * plane.token_stride +
           kv_head_ * plane.head_stride;
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
  const float key_scale_;
  const int query_heads_;
  const int group_;
  const int kv_head_;
  const int queries_;
};

__device__ inline std::int32_t ValueOr(const std::int32_t* at, std::int32_t otherwise) {
  return at == nullptr ? otherwise : *at;
}

/// Adds over the four lanes that hold neighbouring columns of the same row of a product.
__device__ inline float SumOverQuad(float value) {
  value += __shfl_xor_sync(kAllLanes, value, 1);
  return value + __shfl_xor_sync(kAllLanes, value, 2);
}
__device__ inline SumOfExps MergeOverQuad(SumOfExps sum) {
#pragma unroll
  for (int apart = 1; apart < 4; apart *= 2) {
    const SumOfExps other{__shfl_xor_sync(kAllLanes, sum.max, apart),
                          __shfl_xor_sync(kAllLanes, sum.sum, apart)};
    sum.Merge(other);
  }
  return sum;
}

}  // namespace pinboard::kernels::attention_score
