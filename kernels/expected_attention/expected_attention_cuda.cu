// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <limits>

#include "absl/strings/str_cat.h"
#include "base/cuda/cuda_status.h"
#include "base/status_macros.h"
#include "kernels/block_sum.cuh"
#include "kernels/expected_attention/expected_attention_cuda.cuh"
#include "kernels/key_values.h"
#include "kernels/paged_rows.h"
#include "kernels/portable_math.h"
#include "kernels/tile_products.cuh"

namespace pinboard::kernels {
namespace {

constexpr int kThreads = kProductThreads;

struct Sizes {
  explicit Sizes(const ExpectedAttentionBatch& batch)
      : query_values(std::size_t{1} * batch.window * batch.query_heads * batch.shape.key_dim),
        queries(batch.count * query_values),
        logits(std::size_t{1} * batch.count * batch.query_heads * batch.most_rows),
        norms(std::size_t{1} * batch.count * batch.shape.kv_heads * batch.most_rows),
        heads(std::size_t{1} * batch.count * batch.query_heads),
        kv_heads(std::size_t{1} * batch.count * batch.shape.kv_heads) {}
  std::size_t query_values;  // of a problem
  std::size_t queries;
  std::size_t logits;
  std::size_t norms;
  std::size_t heads;
  std::size_t kv_heads;
};

/// The softmax over a head's rows.
struct Softmax {
  double max;
  double sum;
};

struct Workspace {
  double* logits;    // [problems, query_heads, most_rows]: z
  double* norms;     // [problems, kv_heads, most_rows]: |v|
  Softmax* softmax;  // [problems, query_heads]
  double* largest;   // [problems, kv_heads]: the largest |v|
  float* ahead;      // [problems, window, query_heads, key_dim]: queries as expected
};

Workspace Cut(const ExpectedAttentionBatch& batch, void* memory) {
  const Sizes sizes(batch);
  Workspace workspace;
  workspace.logits = static_cast<double*>(memory);
  workspace.norms = workspace.logits + sizes.logits;
  workspace.softmax = reinterpret_cast<Softmax*>(workspace.norms + sizes.norms);
  workspace.largest = reinterpret_cast<double*>(workspace.softmax + sizes.heads);
  workspace.ahead = reinterpret_cast<float*>(workspace.largest + sizes.kv_heads);
  return workspace;
}

/// Element (problem, head) of [problems, heads].
__device__ std::int64_t At(int problem, int head, int heads) {
  return std::int64_t{problem} * heads + head;
}

/// Value d of a rotated query, turned to the mean of the positions to come.
__device__ float ValueAhead(const ExpectedAttentionBatch& batch, const float* query, int d,
                            int positions_ahead) {
  const int at = d - batch.rotary_first_dim;
  if (at < 0 || at >= 2 * batch.pair_count) return query[d];
  const int pair = batch.rotary_interleaved ? at / 2 : at % batch.pair_count;
  const bool is_first = batch.rotary_interleaved ? at % 2 == 0 : at < batch.pair_count;
  const int apart = batch.rotary_interleaved ? 1 : batch.pair_count;
  const PairAhead& ahead = batch.pairs[pair];
  const PlaneRotation turn = Turned(ahead.mean, ahead.frequency * positions_ahead);
  const double x = query[is_first ? d : d - apart];
  const double y = query[is_first ? d + apart : d];
  return static_cast<float>(is_first ? turn.cosine * x - turn.sine * y
                                     : turn.sine * x + turn.cosine * y);
}

/// grid [.., problems], a thread a value of the queries.
__global__ __launch_bounds__(kThreads) void TurnKernel(ExpectedAttentionBatch batch,
                                                       Workspace workspace, int query_values) {
  const auto at = static_cast<int>(blockIdx.x * kThreads + threadIdx.x);
  if (at >= query_values) return;
  const ExpectedAttentionProblem& problem = batch.problems[blockIdx.y];
  const int dim = batch.shape.key_dim;
  const int w = at / (batch.query_heads * dim);
  workspace.ahead[std::int64_t{blockIdx.y} * query_values + at] =
      ValueAhead(batch, problem.queries + at / dim * dim, at % dim,
                 problem.next_position - problem.query_positions[w]);
}

/// The sums over the window of a row's logits and of their squares.
struct LogitSums {
  double sum = 0.0;
  double squares = 0.0;

  __device__ void Add(double logit) {
    sum += logit;
    squares += logit * logit;
  }
};

/// z of a tile of rows: grid [tiles, query_heads, problems]. Rows are on the left, so that the 16
/// threads that share a row are neighbours in a warp.
template <DType dtype>
__global__ __launch_bounds__(kThreads) void ExpectKernel(ExpectedAttentionBatch batch,
                                                         Workspace workspace,
                                                         std::int64_t query_values) {
  __shared__ ProductTile tile;
  __shared__ const std::byte* keys[kProductTile];
  const ExpectedAttentionProblem& problem = batch.problems[blockIdx.z];
  const auto first = static_cast<std::int32_t>(blockIdx.x) * kProductTile;
  if (first >= problem.rows) return;
  const auto head = static_cast<int>(blockIdx.y);
  const int kv_head = head * batch.shape.kv_heads / batch.query_heads;
  const HeadFormat format = FormatOf(batch.shape, problem.cache.key, kv_head);
  const auto thread = static_cast<std::int32_t>(threadIdx.x);
  if (thread < kProductTile) {
    keys[thread] = first + thread < problem.rows
                       ? RowAddress(problem.cache.key, problem.block_table, batch.block_size,
                                    first + thread, kv_head)
                       : nullptr;
  }
  const int dim = batch.shape.key_dim;
  const float* const queries =
      workspace.ahead + std::int64_t{blockIdx.z} * query_values + std::int64_t{head} * dim;
  LogitSums sums[kProductsAcross];
  for (int window = 0; window < batch.window; window += kProductTile) {
    float products[kProductsAcross][kProductsAcross];
    TileProducts(
        dim,
        [&](int i, int d) {
          return keys[i] == nullptr ? 0.0F : ReadValue<dtype>(keys[i], d, format);
        },
        [&](int j, int d) {
          const int w = window + j;
          return w < batch.window ? queries[std::int64_t{w} * batch.query_heads * dim + d] : 0.0F;
        },
        tile, products);
#pragma unroll
    for (int i = 0; i < kProductsAcross; ++i) {
#pragma unroll
      for (int j = 0; j < kProductsAcross; ++j) {
        if (window + FirstRight() + j < batch.window) sums[i].Add(batch.scale * products[i][j]);
      }
    }
  }
  double* const logits =
      workspace.logits +
      At(static_cast<int>(blockIdx.z), head, batch.query_heads) * batch.most_rows;
#pragma unroll
  for (int i = 0; i < kProductsAcross; ++i) {
    for (int apart = 8; apart > 0; apart /= 2) {
      sums[i].sum += __shfl_xor_sync(0xffffffffU, sums[i].sum, apart);
      sums[i].squares += __shfl_xor_sync(0xffffffffU, sums[i].squares, apart);
    }
    const std::int32_t row = first + FirstLeft() + i;
    if (FirstRight() == 0 && row < problem.rows) {
      logits[row] = ExpectedLogit(sums[i].sum, sums[i].squares, batch.window);
    }
  }
}

/// |v|, a warp a row: grid [.., kv_heads, problems].
template <DType dtype>
__global__ __launch_bounds__(kThreads) void NormKernel(ExpectedAttentionBatch batch,
                                                       Workspace workspace) {
  const ExpectedAttentionProblem& problem = batch.problems[blockIdx.z];
  const auto row = static_cast<std::int32_t>((blockIdx.x * kThreads + threadIdx.x) / 32);
  if (row >= problem.rows) return;
  const auto head = static_cast<int>(blockIdx.y);
  const KvPlane& plane = batch.shape.value_in_key ? problem.cache.key : problem.cache.value;
  const std::byte* const value =
      RowAddress(plane, problem.block_table, batch.block_size, row, head);
  const HeadFormat format = FormatOf(batch.shape, plane, head);
  double squared = 0.0;
  for (int d = static_cast<int>(threadIdx.x % 32); d < batch.shape.value_dim; d += 32) {
    const double x = ReadValue<dtype>(value, d, format);
    squared += x * x;
  }
  for (int apart = 16; apart > 0; apart /= 2) {
    squared += __shfl_xor_sync(0xffffffffU, squared, apart);
  }
  if (threadIdx.x % 32 != 0) return;
  workspace
      .norms[At(static_cast<int>(blockIdx.z), head, batch.shape.kv_heads) * batch.most_rows + row] =
      std::sqrt(squared);
}

/// What divides: grid [query_heads + kv_heads, problems].
__global__ __launch_bounds__(kThreads) void DivisorKernel(ExpectedAttentionBatch batch,
                                                          Workspace workspace) {
  const auto problem = static_cast<int>(blockIdx.y);
  const std::int32_t rows = batch.problems[problem].rows;
  const int kv_head = static_cast<int>(blockIdx.x) - batch.query_heads;
  const std::int64_t at = kv_head < 0 ? At(problem, static_cast<int>(blockIdx.x), batch.query_heads)
                                      : At(problem, kv_head, batch.shape.kv_heads);
  const double* const values =
      (kv_head < 0 ? workspace.logits : workspace.norms) + at * batch.most_rows;
  double largest = -std::numeric_limits<double>::infinity();
  bool is_finite = true;
  for (auto row = static_cast<std::int32_t>(threadIdx.x); row < rows; row += kThreads) {
    is_finite &= static_cast<bool>(isfinite(values[row]));
    largest = values[row] > largest ? values[row] : largest;
  }
  largest = MaxOverBlock<kThreads>(largest);
  double sum = 0.0;
  for (auto row = static_cast<std::int32_t>(threadIdx.x); row < rows && kv_head < 0;
       row += kThreads) {
    sum += Exp(values[row] - largest);
  }
  sum = SumOverBlock<kThreads>(sum);
  if (__syncthreads_or(!is_finite) != 0 && threadIdx.x == 0) atomicAdd(batch.faults, 1U);
  if (threadIdx.x != 0) return;
  if (kv_head < 0) {
    workspace.softmax[at] = {largest, sum};
  } else {
    workspace.largest[at] = largest;
  }
}

/// out, a thread a row: grid [.., problems].
__global__ __launch_bounds__(kThreads) void ShareKernel(ExpectedAttentionBatch batch,
                                                        Workspace workspace) {
  const auto problem = static_cast<int>(blockIdx.y);
  const ExpectedAttentionProblem& of = batch.problems[problem];
  const auto i = static_cast<std::int32_t>(blockIdx.x * kThreads + threadIdx.x);
  if (i >= of.rows) return;
  const std::int32_t row = of.order[i];
  double weight = 0.0;
  for (int head = 0; head < batch.query_heads; ++head) {
    const std::int64_t at = At(problem, head, batch.query_heads);
    const std::int64_t kv_at =
        At(problem, head * batch.shape.kv_heads / batch.query_heads, batch.shape.kv_heads);
    const Softmax softmax = workspace.softmax[at];
    const double norm = workspace.norms[kv_at * batch.most_rows + row];
    const double largest = workspace.largest[kv_at];
    weight += Exp(workspace.logits[at * batch.most_rows + row] - softmax.max) / softmax.sum *
              (largest == 0.0 ? 0.0 : norm / largest);
  }
  of.out[i] = ExpectedShare(weight, batch.total_query_heads);
}

absl::Status CheckBatch(const ExpectedAttentionBatch& batch) {
  PB_RETURN_IF_ERROR(CheckShape("ExpectedAttention", batch.shape));
  if (batch.count < 0 || batch.count > 65535 || batch.block_size <= 0 || batch.most_rows < 0 ||
      batch.window <= 0 || batch.query_heads <= 0 ||
      batch.query_heads % batch.shape.kv_heads != 0 ||
      batch.total_query_heads < batch.query_heads) {
    return absl::InvalidArgumentError(
        absl::StrCat("ExpectedAttention: ", batch.count, " problems (at most 65,535) of up to ",
                     batch.most_rows, " rows in blocks of ", batch.block_size, ", ", batch.window,
                     " queries, ", batch.query_heads, " of ", batch.total_query_heads,
                     " query heads over ", batch.shape.kv_heads, " KV heads"));
  }
  if (batch.pair_count < 0 || batch.rotary_first_dim < 0 ||
      batch.rotary_first_dim + 2 * batch.pair_count > batch.shape.key_dim) {
    return absl::InvalidArgumentError(
        absl::StrCat("ExpectedAttention: ", batch.pair_count, " rotary pairs from value ",
                     batch.rotary_first_dim, " of ", batch.shape.key_dim));
  }
  return absl::OkStatus();
}

template <DType dtype>
absl::Status Launch(const ExpectedAttentionBatch& batch, const Workspace& workspace,
                    cudaStream_t stream) {
  const auto query_values = static_cast<int>(Sizes(batch).query_values);
  const auto heads = static_cast<unsigned>(batch.query_heads);
  const auto kv_heads = static_cast<unsigned>(batch.shape.kv_heads);
  const auto problems = static_cast<unsigned>(batch.count);
  const auto blocks = [](int values, int of_a_block) {
    return static_cast<unsigned>((values + of_a_block - 1) / of_a_block);
  };
  TurnKernel<<<dim3(blocks(query_values, kThreads), problems), kThreads, 0, stream>>>(
      batch, workspace, query_values);
  ExpectKernel<dtype>
      <<<dim3(blocks(batch.most_rows, kProductTile), heads, problems), kThreads, 0, stream>>>(
          batch, workspace, query_values);
  NormKernel<dtype>
      <<<dim3(blocks(batch.most_rows, kThreads / 32), kv_heads, problems), kThreads, 0, stream>>>(
          batch, workspace);
  DivisorKernel<<<dim3(heads + kv_heads, problems), kThreads, 0, stream>>>(batch, workspace);
  ShareKernel<<<dim3(blocks(batch.most_rows, kThreads), problems), kThreads, 0, stream>>>(
      batch, workspace);
  return cuda::ToStatus(cudaGetLastError(), "expected attention");
}

}  // namespace

std::vector<PairAhead> PairsAhead(const RotaryShape& rotary) {
  std::vector<PairAhead> pairs;
  for (const double frequency : rotary.frequencies) {
    pairs.push_back({frequency, MeanRotation(frequency, kExpectedPositions)});
  }
  return pairs;
}

std::size_t ExpectedAttentionWorkspaceBytes(const ExpectedAttentionBatch& batch) {
  const Sizes sizes(batch);
  return (sizes.logits + sizes.norms + sizes.kv_heads) * sizeof(double) +
         sizes.heads * sizeof(Softmax) + sizes.queries * sizeof(float);
}

absl::Status LaunchExpectedAttention(const ExpectedAttentionBatch& batch, void* workspace,
                                     cudaStream_t stream) {
  PB_RETURN_IF_ERROR(CheckBatch(batch));
  if (batch.count == 0 || batch.most_rows == 0) return absl::OkStatus();
  const Workspace arrays = Cut(batch, workspace);
  return WithDType(batch.shape.dtype,
                   [&](auto dtype) { return Launch<dtype>(batch, arrays, stream); });
}

}  // namespace pinboard::kernels
