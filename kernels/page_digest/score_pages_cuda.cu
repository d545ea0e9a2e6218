// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include <limits>

#include "absl/strings/str_cat.h"
#include "base/cuda/cuda_status.h"
#include "base/fixed_point.h"
#include "base/status_macros.h"
#include "kernels/page_digest/page_digest_cuda.cuh"
#include "kernels/paged_rows.h"
#include "kernels/portable_math.h"

namespace pinboard::kernels {
namespace {

constexpr int kThreads = 128;
constexpr int kHeadsAtOnce = 8;  // query heads whose sums a thread holds
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

/// kStep values from `at` on as floats; at a multiple of 4 of them where kStep is 4.
template <int kStep>
__device__ void Load(const std::int8_t* at, float (&values)[kStep]) {
  static_assert(kStep == 1 || kStep == 4);
  if constexpr (kStep == 4) {
    const char4 four = __ldg(reinterpret_cast<const char4*>(at));
    values[0] = static_cast<float>(four.x);
    values[1] = static_cast<float>(four.y);
    values[2] = static_cast<float>(four.z);
    values[3] = static_cast<float>(four.w);
  } else {
    values[0] = static_cast<float>(*at);
  }
}
template <int kStep>
__device__ void Load(const float* at, float (&values)[kStep]) {
  if constexpr (kStep == 4) {
    const float4 four = *reinterpret_cast<const float4*>(at);
    values[0] = four.x;
    values[1] = four.y;
    values[2] = four.z;
    values[3] = four.w;
  } else {
    values[0] = *at;
  }
}

/// A thread takes one centre and all query heads that read it; queries lie in shared memory.
/// kStep: 4 where key_dim is a multiple of it, else 1.
template <int kStep>
__global__ __launch_bounds__(kThreads) void LogitsKernel(ScorePagesBatch batch,
                                                         Workspace workspace) {
  extern __shared__ float4 aligned_queries[];  // [kHeadsAtOnce, key_dim] floats
  auto* const queries = reinterpret_cast<float*>(aligned_queries);
  const ScorePagesProblem problem = batch.problems[blockIdx.z];
  const int dim = batch.shape.key_dim;
  const int kv_heads = batch.shape.kv_heads;
  const int group = batch.query_heads / kv_heads;
  const int kv_head = static_cast<int>(blockIdx.y) % kv_heads;
  const int token = static_cast<int>(blockIdx.y) / kv_heads;
  const auto centre = static_cast<int>(blockIdx.x * kThreads + threadIdx.x);
  const bool exists = centre < problem.count * kDigestCentres;
  const std::int64_t page = exists ? problem.pages[centre / kDigestCentres] : 0;
  const std::int64_t at = (page * kv_heads + kv_head) * kDigestCentres + centre % kDigestCentres;
  const std::int8_t* const steps = problem.digests.centres + at * dim;
  const float step = exists ? problem.digests.step[page * kv_heads + kv_head] : 0.0F;
  const bool has_rows = exists && problem.digests.counts[at] > 0;

  for (int first = 0; first < group; first += kHeadsAtOnce) {
    const int head = kv_head * group + first;
    const int some = min(kHeadsAtOnce, group - first);
    const std::int64_t index = HeadIndex(batch, static_cast<int>(blockIdx.z), token, head);
    const float* from = problem.queries + (std::int64_t{token} * batch.query_heads + head) * dim;
    __syncthreads();
    for (int i = static_cast<int>(threadIdx.x); i < kHeadsAtOnce * dim; i += kThreads) {
      queries[i] = i < some * dim ? from[i] : 0.0F;
    }
    __syncthreads();
    if (!exists) continue;
    float sums[kHeadsAtOnce] = {};
    for (int d = 0; d < dim; d += kStep) {
      float keys[kStep];
      Load(steps + d, keys);
#pragma unroll
      for (int h = 0; h < kHeadsAtOnce; ++h) {
        float q[kStep];
        Load(queries + h * dim + d, q);
#pragma unroll
        for (int i = 0; i < kStep; ++i) sums[h] = __fmaf_rn(q[i], keys[i], sums[h]);
      }
    }
#pragma unroll
    for (int h = 0; h < kHeadsAtOnce; ++h) {
      if (h < some) {
        LogitsOf(batch, workspace, index + h)[centre] =
            has_rows ? batch.attention_scale * (step * sums[h]) : kMinusInfinity;
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

absl::Status CheckBatch(const ScorePagesBatch& batch) {
  PB_RETURN_IF_ERROR(CheckShape("ScorePages", batch.shape));
  if (batch.query_heads <= 0 || batch.query_heads % batch.shape.kv_heads != 0 ||
      batch.total_query_heads < batch.query_heads) {
    return absl::InvalidArgumentError(absl::StrCat(
        "ScorePages: ", batch.query_heads, " of ", batch.total_query_heads, " query heads over ",
        batch.shape.kv_heads, " KV heads: the latter must divide the first"));
  }
  if (batch.count < 0 || batch.count > 65535 || batch.most_pages < 0 || batch.tokens <= 0 ||
      std::int64_t{batch.tokens} * batch.shape.kv_heads > 65535) {
    return absl::InvalidArgumentError(absl::StrCat("ScorePages: ", batch.count,
                                                   " problems of up to ", batch.most_pages,
                                                   " pages and ", batch.tokens, " tokens"));
  }
  constexpr int kMaxDim = (40 << 10) / static_cast<int>(kHeadsAtOnce * sizeof(float));
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
  const dim3 centres(blocks(std::int64_t{batch.most_pages} * kDigestCentres),
                     static_cast<unsigned>(batch.tokens * batch.shape.kv_heads), problems);
  const std::size_t shared = kHeadsAtOnce * batch.shape.key_dim * sizeof(float);
  if (batch.shape.key_dim % 4 == 0) {
    LogitsKernel<4><<<centres, kThreads, shared, stream>>>(batch, areas);
  } else {
    LogitsKernel<1><<<centres, kThreads, shared, stream>>>(batch, areas);
  }
  PB_RETURN_IF_ERROR(cuda::ToStatus(cudaGetLastError(), "score pages: logits"));
  SoftmaxKernel<<<static_cast<unsigned>(Heads(batch)), kThreads, 0, stream>>>(batch, areas);
  PB_RETURN_IF_ERROR(cuda::ToStatus(cudaGetLastError(), "score pages: softmax"));
  const dim3 pages(blocks(batch.most_pages), problems);
  ShareKernel<<<pages, kThreads, 0, stream>>>(batch, areas);
  return cuda::ToStatus(cudaGetLastError(), "score pages: shares");
}

}  // namespace pinboard::kernels
