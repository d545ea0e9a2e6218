// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include <limits>

#include "absl/strings/str_cat.h"
#include "base/cuda/cuda_status.h"
#include "base/fixed_point.h"
#include "base/status_macros.h"
#include "kernels/page_digest/page_digest_cuda.cuh"
#include "kernels/page_digest/page_logits.cuh"
#include "kernels/paged_rows.h"
#include "kernels/portable_math.h"

namespace pinboard::kernels {
namespace {

constexpr int kThreads = 128;
constexpr unsigned kAllLanes = 0xffffffffU;
constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

/// The softmax of one problem, token and head over all live centres.
struct Softmax {
  double sum;  // infinity where it is not finite: the head then adds nothing
  float max;
};

/// Logits [problems, tokens, query_heads, most_pages, kDigestCentres] and softmaxes [problems,
/// tokens, query_heads].
struct Workspace {
  Softmax* softmaxes;
  float* logits;
};

__host__ __device__ std::int64_t Heads(const ScorePagesBatch& batch) {
  return std::int64_t{batch.count} * batch.tokens * batch.query_heads;
}

__device__ std::int64_t HeadIndex(const ScorePagesBatch& batch, int problem, int token, int head) {
  return (std::int64_t{problem} * batch.tokens + token) * batch.query_heads + head;
}

__device__ float* LogitsOf(const ScorePagesBatch& batch, const Workspace& workspace,
                           std::int64_t head) {
  return workspace.logits + head * batch.most_pages * kDigestCentres;
}

/// A block takes some centres of a problem and kColumns of the queries that read a KV head.
template <bool kWhole>
__global__ __launch_bounds__(page_logits::kLogitThreads, 3) void LogitsKernel(ScorePagesBatch batch,
                                                                              Workspace workspace) {
  using namespace page_logits;
  extern __shared__ uint4 aligned_digits[];  // [kDigits, kColumns, stride] bytes
  __shared__ float worth[kColumns];          // a step of each query
  auto* const digits = reinterpret_cast<std::int8_t*>(aligned_digits);
  const ScorePagesProblem problem = batch.problems[blockIdx.z];
  const int begin = static_cast<int>(blockIdx.x) * kTilesPerBlock * kTileCentres;
  if (begin >= problem.count * kDigestCentres) return;
  const int dim = batch.shape.key_dim;
  const int stride = DigitStride(dim);
  const int columns = batch.tokens * (batch.query_heads / batch.shape.kv_heads);
  const int kv_head = static_cast<int>(blockIdx.y) % batch.shape.kv_heads;
  const int first_column = static_cast<int>(blockIdx.y) / batch.shape.kv_heads * kColumns;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const int lane = static_cast<int>(threadIdx.x) % 32;

  for (int c = warp; c < kColumns; c += kLogitWarps) {
    const Column column = ColumnOf(batch, kv_head, min(first_column + c, columns - 1));
    const float* query =
        problem.queries + (std::int64_t{column.token} * batch.query_heads + column.head) * dim;
    const float step = StoreDigits(query, dim, stride, digits + c * stride);
    if (lane == 0) worth[c] = step;
  }
  __syncthreads();
  const int end = min(begin + kTilesPerBlock * kTileCentres, problem.count * kDigestCentres);
  for (int tile = begin + warp * kTileCentres; tile < end; tile += kLogitWarps * kTileCentres) {
    const int rows[2] = {tile + lane / 4, tile + lane / 4 + 8};
    const Centre centres[2] = {{batch, problem, kv_head, rows[0]},
                               {batch, problem, kv_head, rows[1]}};
    const Sums sums = Multiply<kWhole>({centres[0].steps, centres[1].steps}, digits, dim, stride);
#pragma unroll
    for (int n = 0; n < kColumns / 8; ++n) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int c = n * 8 + lane % 4 * 2 + i % 2;
        const Centre& centre = centres[i / 2];
        if (!centre.exists || first_column + c >= columns) continue;
        const Column column = ColumnOf(batch, kv_head, first_column + c);
        const std::int64_t head =
            HeadIndex(batch, static_cast<int>(blockIdx.z), column.token, column.head);
        const float product = centre.step * (worth[c] * sums.Value(n, i));
        LogitsOf(batch, workspace, head)[rows[i / 2]] =
            centre.has_rows ? batch.attention_scale * product : kMinusInfinity;
      }
    }
  }
}

/// What the rows of a page weigh for a head.
__device__ double Mass(const ScorePagesBatch& batch, const ScorePagesProblem& problem, int page,
                       int kv_head, const float* logits, float max) {
  const std::int64_t at =
      (std::int64_t{problem.pages[page]} * batch.shape.kv_heads + kv_head) * kDigestCentres;
  double mass = 0.0;
  for (int c = 0; c < kDigestCentres; ++c) {
    const float weight = ExpOfNonPositive(logits[page * kDigestCentres + c] - max);
    mass += problem.digests.counts[at + c] * static_cast<double>(weight);
  }
  return mass;
}

/// Combines one value a thread over the block, in the order of warps; `shared` holds one a warp.
template <typename T, typename Combine>
__device__ T OverBlock(T value, T* shared, Combine combine) {
  for (int apart = 16; apart > 0; apart /= 2) {
    value = combine(value, __shfl_xor_sync(kAllLanes, value, apart));
  }
  if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = value;
  __syncthreads();
  value = shared[0];
  for (int w = 1; w < kThreads / 32; ++w) value = combine(value, shared[w]);
  return value;
}

__global__ __launch_bounds__(kThreads) void SoftmaxKernel(ScorePagesBatch batch,
                                                          Workspace workspace) {
  __shared__ float max_of_warp[kThreads / 32];
  __shared__ double sum_of_warp[kThreads / 32];
  const int head = static_cast<int>(blockIdx.x) % batch.query_heads;
  const auto problem_index = static_cast<int>(blockIdx.x) / (batch.query_heads * batch.tokens);
  const ScorePagesProblem problem = batch.problems[problem_index];
  if (problem.count == 0) return;
  const float* logits = LogitsOf(batch, workspace, blockIdx.x);
  const int kv_head = head / (batch.query_heads / batch.shape.kv_heads);

  float max = kMinusInfinity;
  for (int c = static_cast<int>(threadIdx.x); c < problem.count * kDigestCentres; c += kThreads) {
    max = logits[c] > max ? logits[c] : max;
  }
  max = OverBlock(max, max_of_warp, [](float a, float b) { return a > b ? a : b; });
  double sum = 0.0;
  for (int page = static_cast<int>(threadIdx.x); page < problem.count; page += kThreads) {
    sum += Mass(batch, problem, page, kv_head, logits, max);
  }
  sum = OverBlock(sum, sum_of_warp, [](double a, double b) { return a + b; });
  if (threadIdx.x != 0) return;
  const bool is_finite = sum <= std::numeric_limits<double>::max();
  if (!is_finite) atomicAdd(batch.faults, 1U);
  workspace.softmaxes[blockIdx.x] = {is_finite ? sum : std::numeric_limits<double>::infinity(),
                                     max};
}

__global__ __launch_bounds__(kThreads) void ShareKernel(ScorePagesBatch batch,
                                                        Workspace workspace) {
  const ScorePagesProblem problem = batch.problems[blockIdx.y];
  const auto page = static_cast<int>(blockIdx.x * kThreads + threadIdx.x);
  if (page >= problem.count) return;
  std::int32_t best = batch.joins ? problem.out[page] : 0;
  for (int token = 0; token < batch.tokens; ++token) {
    double total = 0.0;
    for (int head = 0; head < batch.query_heads; ++head) {
      const std::int64_t index = HeadIndex(batch, static_cast<int>(blockIdx.y), token, head);
      const Softmax softmax = workspace.softmaxes[index];
      if (softmax.sum > std::numeric_limits<double>::max()) continue;
      const int kv_head = head / (batch.query_heads / batch.shape.kv_heads);
      const double share =
          Mass(batch, problem, page, kv_head, LogitsOf(batch, workspace, index), softmax.max) /
          softmax.sum;
      total += share * share;
    }
    best = max(best, ToFixed32(total / batch.total_query_heads, kAttentionFractionBits));
  }
  problem.out[page] = best;
}

absl::Status LaunchLogits(const ScorePagesBatch& batch, const Workspace& workspace,
                          cudaStream_t stream) {
  using namespace page_logits;
  const auto ceiling = [](int of, int by) { return static_cast<unsigned>((of + by - 1) / by); };
  const int columns = batch.tokens * (batch.query_heads / batch.shape.kv_heads);
  const dim3 grid(ceiling(batch.most_pages * kDigestCentres, kTilesPerBlock * kTileCentres),
                  ceiling(columns, kColumns) * static_cast<unsigned>(batch.shape.kv_heads),
                  static_cast<unsigned>(batch.count));
  const auto kernel = batch.shape.key_dim % 16 == 0 ? LogitsKernel<true> : LogitsKernel<false>;
  kernel<<<grid, kLogitThreads, SharedBytes(batch.shape.key_dim), stream>>>(batch, workspace);
  return cuda::ToStatus(cudaGetLastError(), "score pages: logits");
}

absl::Status CheckBatch(const ScorePagesBatch& batch) {
  PB_RETURN_IF_ERROR(CheckShape("ScorePages", batch.shape));
  if (batch.query_heads <= 0 || batch.query_heads % batch.shape.kv_heads != 0 ||
      batch.total_query_heads < batch.query_heads) {
    return absl::InvalidArgumentError(absl::StrCat(
        "ScorePages: ", batch.query_heads, " of ", batch.total_query_heads, " query heads over ",
        batch.shape.kv_heads, " KV heads: the latter must divide the first"));
  }
  if (batch.count < 0 || batch.count > kMostScoredTogether || batch.most_pages < 0 ||
      batch.tokens <= 0 || std::int64_t{batch.tokens} * batch.shape.kv_heads > 65535) {
    return absl::InvalidArgumentError(absl::StrCat("ScorePages: ", batch.count,
                                                   " problems of up to ", batch.most_pages,
                                                   " pages and ", batch.tokens, " tokens"));
  }
  constexpr int kMaxDim = 896;  // 45 KiB of digits
  if (batch.shape.key_dim > kMaxDim) {
    return absl::UnimplementedError(absl::StrCat("ScorePages: keys of ", batch.shape.key_dim,
                                                 ": the device takes at most ", kMaxDim));
  }
  return absl::OkStatus();
}

}  // namespace

std::size_t ScorePagesWorkspaceBytes(const ScorePagesBatch& batch) {
  const auto heads = static_cast<std::size_t>(Heads(batch));
  return heads * (sizeof(Softmax) + batch.most_pages * kDigestCentres * sizeof(float));
}

absl::Status LaunchScorePages(const ScorePagesBatch& batch, void* workspace, cudaStream_t stream) {
  PB_RETURN_IF_ERROR(CheckBatch(batch));
  if (batch.count == 0 || batch.most_pages == 0) return absl::OkStatus();
  auto* const softmaxes = static_cast<Softmax*>(workspace);
  const Workspace areas{softmaxes, reinterpret_cast<float*>(softmaxes + Heads(batch))};
  const auto blocks = [](std::int64_t threads) {
    return static_cast<unsigned>((threads + kThreads - 1) / kThreads);
  };
  const auto problems = static_cast<unsigned>(batch.count);
  PB_RETURN_IF_ERROR(LaunchLogits(batch, areas, stream));
  SoftmaxKernel<<<static_cast<unsigned>(Heads(batch)), kThreads, 0, stream>>>(batch, areas);
  PB_RETURN_IF_ERROR(cuda::ToStatus(cudaGetLastError(), "score pages: softmax"));
  const dim3 pages(blocks(batch.most_pages), problems);
  ShareKernel<<<pages, kThreads, 0, stream>>>(batch, areas);
  return cuda::ToStatus(cudaGetLastError(), "score pages: shares");
}

}  // namespace pinboard::kernels
