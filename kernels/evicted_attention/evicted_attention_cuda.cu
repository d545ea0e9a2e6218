// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include <limits>

#include "absl/strings/str_cat.h"
#include "base/cuda/cuda_status.h"
#include "base/status_macros.h"
#include "kernels/block_sum.cuh"
#include "kernels/evicted_attention/evicted_attention_cuda.cuh"
#include "kernels/key_values.h"
#include "kernels/last_block.cuh"
#include "kernels/portable_math.h"
#include "kernels/row_values.cuh"

namespace pinboard::kernels {
namespace {

constexpr int kThreads = 256;

/// What the blocks of a problem, one a head, leave to the last of them.
struct Workspace {
  std::uint32_t* tickets;   // [problems]
  std::uint32_t* attended;  // [problems, ring_words]: a bit a ring row
  double* shares;           // [problems, query_heads]
};

int RingWords(const EvictedAttentionBatch& batch) { return (batch.most_ring_rows + 31) / 32; }

Workspace Cut(const EvictedAttentionBatch& batch, void* memory) {
  auto* const shares = static_cast<double*>(memory);
  auto* const tickets =
      reinterpret_cast<std::uint32_t*>(shares + std::size_t{1} * batch.count * batch.query_heads);
  return {tickets, tickets + batch.count, shares};
}

/// A sum of exps, each scaled by the largest exponent seen.
struct ExpSumAtMost {
  double most = -std::numeric_limits<double>::infinity();
  double sum = 0.0;

  __device__ void Add(double logit, double count) {
    if (logit > most) {
      sum *= Exp(most - logit);
      most = logit;
    }
    sum += count * Exp(logit - most);
  }
};

/// The most values that a 16-byte access brings (steps of a centre): a query ends with zeros up to
/// a multiple of it.
constexpr int kQueryPadding = 16;

int PaddedDim(const KvShape& shape) {
  return (shape.key_dim + kQueryPadding - 1) / kQueryPadding * kQueryPadding;
}

/// Steps first ... first + 15 of a centre, zeros beyond its end. `aligned`: all centres begin at a
/// multiple of 16 bytes.
__device__ uint4 LoadSteps(const std::int8_t* steps, int first, int dim, bool aligned) {
  if (aligned) return __ldg(reinterpret_cast<const uint4*>(steps + first));
  std::uint32_t words[4] = {};
#pragma unroll
  for (int i = 0; i < 16; ++i) {
    if (first + i >= dim) break;
    words[i / 4] |= std::uint32_t{static_cast<std::uint8_t>(steps[first + i])} << (i % 4 * 8U);
  }
  return make_uint4(words[0], words[1], words[2], words[3]);
}

/// A head's logits, with its query in shared memory.
template <DType dtype>
class Logits {
 public:
  __device__ Logits(const EvictedAttentionBatch& batch, const EvictedAttentionProblem& problem,
                    int kv_head, const double* query)
      : batch_(batch),
        problem_(problem),
        kv_head_(kv_head),
        format_(FormatOf(batch.shape, problem.cache.key, kv_head)),
        query_(query),
        centres_aligned_(reinterpret_cast<std::uintptr_t>(problem.digests.centres) % 16 == 0 &&
                         batch.shape.key_dim % 16 == 0) {}

  __device__ double OfRow(std::int32_t row) const {
    const std::byte* const key =
        RowAddress(problem_.cache.key, problem_.block_table, batch_.block_size, row, kv_head_);
    const int dim = batch_.shape.key_dim;
    if constexpr (dtype == DType::kF8DsMla) {
      const int latent = format_.latent;
      const auto* const scales = reinterpret_cast<const float*>(key + latent);
      const double product = Product<DType::kF8E4M3>(key, 0, latent, [&](float value, int d) {
        return BFloat16ToFloat(FloatToBFloat16(value * scales[d / kLatentTile]));
      });
      const auto* const rotary = reinterpret_cast<const std::byte*>(scales + latent / kLatentTile);
      return batch_.attention_scale *
             (product + Product<DType::kBF16>(rotary, latent, dim - latent,
                                              [](float value, int) { return value; }));
    } else {
      return batch_.attention_scale * Product<dtype>(key, 0, dim, [&](float value, int) {
               return dtype == DType::kF8E4M3 ? value * format_.scale : value;
             });
    }
  }

  /// Centre c of the evicted pages in their order; `count`: the rows that it stands for.
  __device__ double OfCentre(std::int32_t c, int* count) const {
    const std::int64_t head =
        std::int64_t{problem_.evicted[c / kDigestCentres]} * batch_.shape.kv_heads + kv_head_;
    const std::int64_t centre = head * kDigestCentres + c % kDigestCentres;
    *count = problem_.digests.counts[centre];
    if (*count == 0) return 0.0;
    const int dim = batch_.shape.key_dim;
    double product = 0.0;
    for (int first = 0; first < dim; first += 16) {
      const uint4 loaded =
          LoadSteps(problem_.digests.centres + centre * dim, first, dim, centres_aligned_);
      const std::uint32_t words[4] = {loaded.x, loaded.y, loaded.z, loaded.w};
#pragma unroll
      for (int i = 0; i < 16; ++i) {
        const auto step = static_cast<std::int8_t>(words[i / 4] >> (i % 4 * 8U));
        product = __fma_rn(query_[first + i], static_cast<double>(step), product);
      }
    }
    return batch_.attention_scale * product * problem_.digests.step[head];
  }

 private:
  /// Of `count` values of a key, stored as kCode at `values`, with the query's from `first_query`
  /// on; means(value, d) is what value d stands for.
  template <DType kCode, typename Means>
  __device__ double Product(const std::byte* values, int first_query, int count,
                            Means means) const {
    constexpr int kValues = kValuesAtOnce<kCode>;
    const bool aligned = RowsAreAligned<kCode>(values, count);
    double product = 0.0;
    for (int first = 0; first < count; first += kValues) {
      float loaded[kValues];
      Unpack<kCode>(LoadBytes<kCode>(values, first, count, aligned), loaded);
#pragma unroll
      for (int i = 0; i < kValues; ++i) {
        product = __fma_rn(query_[first_query + first + i],
                           static_cast<double>(means(loaded[i], first + i)), product);
      }
    }
    return product;
  }

  const EvictedAttentionBatch& batch_;
  const EvictedAttentionProblem& problem_;
  const int kv_head_;
  const HeadFormat format_;
  const double* const query_;
  const bool centres_aligned_;
};

/// Sets the bits of the ring's rows that get at least kAttendedShare of exp(logit - most) / sum.
template <DType dtype>
__device__ void MarkAttended(const EvictedAttentionProblem& problem, const Logits<dtype>& logits,
                             double most, double sum, std::uint32_t* attended) {
  for (int first = 0; first < problem.ring_rows; first += kThreads) {
    const int row = first + static_cast<int>(threadIdx.x);
    const bool is_attended =
        row < problem.ring_rows && Exp(logits.OfRow(row) - most) >= kAttendedShare * sum;
    const std::uint32_t bits = __ballot_sync(0xffffffffU, is_attended);
    if (threadIdx.x % 32 == 0 && bits != 0) atomicOr(attended + row / 32, bits);
  }
}

/// The block that comes last adds up the heads of a problem.
__device__ EvictedAttentionResult Result(const EvictedAttentionBatch& batch, const double* shares,
                                         const std::uint32_t* attended, int ring_words) {
  EvictedAttentionResult result;
  for (int head = 0; head < batch.query_heads; ++head) {
    result.evicted_share += __ldcg(shares + head) / batch.query_heads;
  }
  for (int word = 0; word < ring_words; ++word) {
    result.attended_ring_rows += __popc(__ldcg(attended + word));
  }
  return result;
}

/// grid [query_heads, problems]
template <DType dtype>
__global__ __launch_bounds__(kThreads) void EvictedAttentionKernel(EvictedAttentionBatch batch,
                                                                   Workspace workspace,
                                                                   int ring_words, int padded_dim) {
  extern __shared__ double query[];
  const int head = static_cast<int>(blockIdx.x);
  const auto thread = static_cast<int>(threadIdx.x);
  const EvictedAttentionProblem& problem = batch.problems[blockIdx.y];
  const int dim = batch.shape.key_dim;
  for (int d = thread; d < padded_dim; d += kThreads) {
    query[d] = d < dim ? static_cast<double>(problem.query[head * dim + d]) : 0.0;
  }
  __syncthreads();

  const Logits<dtype> logits(batch, problem, head * batch.shape.kv_heads / batch.query_heads,
                             query);
  ExpSumAtMost rows;
  ExpSumAtMost evicted;
  bool is_finite = true;
  for (int row = thread; row < problem.rows; row += kThreads) {
    const double logit = logits.OfRow(row);
    is_finite &= static_cast<bool>(isfinite(logit));
    rows.Add(logit, 1.0);
  }
  for (int c = thread; c < problem.evicted_count * kDigestCentres; c += kThreads) {
    int count = 0;
    const double logit = logits.OfCentre(c, &count);
    if (count == 0) continue;
    is_finite &= static_cast<bool>(isfinite(logit));
    evicted.Add(logit, count);
  }
  const double most = MaxOverBlock<kThreads>(rows.most > evicted.most ? rows.most : evicted.most);
  const auto total = [&](const ExpSumAtMost& mine) {
    return SumOverBlock<kThreads>(mine.sum == 0.0 ? 0.0 : mine.sum * Exp(mine.most - most));
  };
  const double rows_sum = total(rows);
  const double evicted_sum = total(evicted);
  if (__syncthreads_or(!is_finite) != 0 && thread == 0) atomicAdd(batch.faults, 1U);

  double* const shares = workspace.shares + std::int64_t{blockIdx.y} * batch.query_heads;
  std::uint32_t* const attended = workspace.attended + std::int64_t{blockIdx.y} * ring_words;
  if (thread == 0) shares[head] = evicted_sum / (rows_sum + evicted_sum);
  MarkAttended(problem, logits, most, rows_sum, attended);
  if (!IsLastBlock(workspace.tickets + blockIdx.y, gridDim.x) || thread != 0) return;
  batch.results[blockIdx.y] = Result(batch, shares, attended, ring_words);
}

absl::Status CheckBatch(const EvictedAttentionBatch& batch) {
  PB_RETURN_IF_ERROR(CheckShape("EvictedAttention", batch.shape));
  if (batch.count < 0 || batch.count > 65535 || batch.block_size <= 0 || batch.query_heads <= 0 ||
      batch.query_heads % batch.shape.kv_heads != 0 || batch.most_ring_rows < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("EvictedAttention: ", batch.count, " problems (at most 65,535), blocks of ",
                     batch.block_size, " rows, ", batch.query_heads, " query heads over ",
                     batch.shape.kv_heads, " KV heads, rings of ", batch.most_ring_rows, " rows"));
  }
  return absl::OkStatus();
}

}  // namespace

std::size_t EvictedAttentionWorkspaceBytes(const EvictedAttentionBatch& batch) {
  const auto problems = static_cast<std::size_t>(batch.count);
  return problems * (static_cast<std::size_t>(batch.query_heads) * sizeof(double) +
                     sizeof(std::uint32_t) * (1 + static_cast<std::size_t>(RingWords(batch))));
}

absl::Status LaunchEvictedAttention(const EvictedAttentionBatch& batch, void* workspace,
                                    cudaStream_t stream) {
  PB_RETURN_IF_ERROR(CheckBatch(batch));
  if (batch.count == 0) return absl::OkStatus();
  PB_RETURN_IF_ERROR(
      cuda::ToStatus(cudaMemsetAsync(workspace, 0, EvictedAttentionWorkspaceBytes(batch), stream),
                     "evicted attention: clear the workspace"));
  const dim3 grid(static_cast<unsigned>(batch.query_heads), static_cast<unsigned>(batch.count));
  const int padded_dim = PaddedDim(batch.shape);
  const std::size_t query_bytes = static_cast<std::size_t>(padded_dim) * sizeof(double);
  WithDType(batch.shape.dtype, [&](auto dtype) {
    EvictedAttentionKernel<dtype><<<grid, kThreads, query_bytes, stream>>>(
        batch, Cut(batch, workspace), RingWords(batch), padded_dim);
  });
  return cuda::ToStatus(cudaGetLastError(), "evicted attention");
}

}  // namespace pinboard::kernels
