// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The passes over the keys by mma.sync: each warp holds 16 or 32 rows in registers, queries in one
// pass and keys in the other, and the block streams the others past them.
#include <algorithm>
#include <type_traits>

#include "base/cuda/cuda_status.h"
#include "kernels/attention_score/key_passes.cuh"
#include "kernels/attention_score/key_pieces.cuh"
#include "kernels/attention_score/row_products.cuh"

namespace pinboard::kernels::attention_score {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / 32;

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

/// Sums of exponentials of a block's queries (in registers) over one split of the rows.
template <DType kType, int kDim>
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
  const float scale = batch.scale * head.key_scale() * kLog2E;

  HeldRows<kType, kDim, Shape::kTiles> queries;
  queries.Load(
      [&](int q) { return head.Query(first + q); },
      [](const void* query, int piece) { return __ldg(static_cast<const uint4*>(query) + piece); });
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

  const auto piece_of_key = [&](const void* key, int piece) {
    return KeyPiece(batch.shape, key, piece);
  };
  const auto begin_stage = [&](int stage) {
    const std::int32_t row = begin + stage * Shape::kShared;
    const auto key_at = [&](int r) { return head.Key(row + r); };
    if (DTypeBytes(batch.shape.dtype) == 2) {
      BeginRows<kDim, Shape::kShared, kThreads>(all_keys[stage % 2], key_at);
    } else {
      StoreRows<kDim, Shape::kShared, kThreads>(all_keys[stage % 2], key_at, piece_of_key);
    }
    if (threadIdx.x < Shape::kShared) {
      const auto r = static_cast<std::int32_t>(threadIdx.x);
      cuda::BeginCopy(&all_positions[stage % 2][r], head.PositionOfKey(row + r), kUnseen);
    }
  };
  const int stages = (end - begin + Shape::kShared - 1) / Shape::kShared;
  if (stages > 0) begin_stage(0);
  for (int stage = 0; stage < stages; ++stage) {
    cuda::WaitForCopies();
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
          sum.sum *= cuda::Exp2(sum.max - base);
          sum.max = max;
#pragma unroll
          for (int g = 0; g < kGroups; ++g) {
#pragma unroll
            for (int c = 0; c < 2; ++c) sum.sum += cuda::Exp2(logits[g][tile][2 * half + c] - base);
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
      const SumOfExps sum = MergeOverQuad(sums[tile][half]);
      const int query = first + 16 * tile + 8 * half + lane / 4;
      if (lane % 4 == 0 && query < head.queries()) partial[query] = sum;
    }
  }
}

/// Sums over all queries of the weights of a block's rows (in registers).
template <DType kType, int kDim>
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
  const float scale = batch.scale * head.key_scale() * kLog2E;
  const float* const log_sums_of_head =
      workspace.log_sums + std::int64_t{blockIdx.z} * Queries(batch) + head.first_query();

  HeldRows<kType, kDim, Shape::kTiles> keys;
  keys.Load([&](int r) { return head.Key(first + r); },
            [&](const void* key, int piece) { return KeyPiece(batch.shape, key, piece); });
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
      cuda::BeginCopy(&all_log_sums[stage % 2][q], log_sum, kInfinity);
      cuda::BeginCopy(&all_positions[stage % 2][q], head.PositionOfQuery(query + q), kSeesNone);
    }
  };
  const int stages = (head.queries() + Shape::kShared - 1) / Shape::kShared;
  begin_stage(0);
  for (int stage = 0; stage < stages; ++stage) {
    cuda::WaitForCopies();
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
            const float weight = cuda::Exp2(__fmaf_rn(logits[tile][2 * half + c], scale, -log_sum));
            shares[tile][half] += position[tile][half] <= limit ? weight : 0.0F;
          }
        }
      }
    }
  }

  float* const out =
      workspace.planes +
      (std::int64_t{blockIdx.z} * batch.shape.kv_heads + blockIdx.y) * batch.most_rows;
#pragma unroll
  for (int tile = 0; tile < Shape::kTiles; ++tile) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const float share = SumOverQuad(shares[tile][half]);
      const std::int32_t row = first + 16 * tile + 8 * half + lane / 4;
      if (lane % 4 == 0 && row < problem.rows) out[row] = share;
    }
  }
}

unsigned Blocks(std::int64_t threads, int of) {
  return static_cast<unsigned>((threads + of - 1) / of);
}

template <DType kType, int kDim>
absl::Status LaunchSums(const AttentionScoreBatch& batch, const Workspace& workspace,
                        cudaStream_t stream) {
  const dim3 grid(static_cast<unsigned>(Splits(batch)),
                  batch.shape.kv_heads * Blocks(QueriesPerHead(batch), Cut<kDim>::kHeld),
                  static_cast<unsigned>(batch.count));
  SumExpsKernel<kType, kDim><<<grid, kThreads, 0, stream>>>(batch, workspace);
  return cuda::ToStatus(cudaGetLastError(), "attention score: sums");
}

template <DType kType, int kDim>
absl::Status LaunchShares(const AttentionScoreBatch& batch, const Workspace& workspace,
                          cudaStream_t stream) {
  const dim3 grid(Blocks(batch.most_rows, Cut<kDim>::kHeld),
                  static_cast<unsigned>(batch.shape.kv_heads), static_cast<unsigned>(batch.count));
  SharesKernel<kType, kDim><<<grid, kThreads, 0, stream>>>(batch, workspace);
  return cuda::ToStatus(cudaGetLastError(), "attention score: shares");
}

/// launch(dimension) for the batch's keys.
template <typename Launch>
absl::Status ForKeysOf(const AttentionScoreBatch& batch, Launch launch) {
  switch (batch.shape.key_dim) {
    case 32:
      return launch(std::integral_constant<int, 32>{});
    case 64:
      return launch(std::integral_constant<int, 64>{});
    case 128:
      return launch(std::integral_constant<int, 128>{});
    default:
      return launch(std::integral_constant<int, 576>{});
  }
}

absl::Status Sums(const AttentionScoreBatch& batch, const Workspace& workspace,
                  cudaStream_t stream) {
  return ForKeysOf(batch, [&](auto dim) {
    return AttentionQueryType(batch.shape.dtype) == DType::kF16
               ? LaunchSums<DType::kF16, dim>(batch, workspace, stream)
               : LaunchSums<DType::kBF16, dim>(batch, workspace, stream);
  });
}
absl::Status Shares(const AttentionScoreBatch& batch, const Workspace& workspace,
                    cudaStream_t stream) {
  return ForKeysOf(batch, [&](auto dim) {
    return AttentionQueryType(batch.shape.dtype) == DType::kF16
               ? LaunchShares<DType::kF16, dim>(batch, workspace, stream)
               : LaunchShares<DType::kBF16, dim>(batch, workspace, stream);
  });
}

}  // namespace

const KeyPasses kMmaPasses{Sums, Shares, [](const AttentionScoreBatch&) { return 1; }};

}  // namespace pinboard::kernels::attention_score
