// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <limits>

#include "absl/strings/str_cat.h"
#include "base/cuda/cuda_status.h"
#include "kernels/block_sum.cuh"
#include "kernels/full_entropy/full_entropy_core.h"
#include "kernels/full_entropy/full_entropy_cuda.cuh"
#include "kernels/full_entropy/row_parts.cuh"
#include "kernels/row_values.cuh"
#include "kernels/tensor_dtype.cuh"

namespace pinboard::kernels {
namespace {

constexpr int kThreads = 256;
constexpr int kBlocks = 4;       // that a multiprocessor runs at once
constexpr int kLoadsAtOnce = 8;  // of a thread
constexpr float kMostScaled = 1e38F;

/// For rows whose largest logit ScaledPart does not take, or that have none.
template <DType dtype, bool aligned>
__device__ EntropyPart PartOfExtremes(const LogitRow<dtype, aligned>& row, float largest) {
  constexpr int kValues = kValuesAtOnce<dtype>;
  ThreadPart part;
  for (int first = static_cast<int>(threadIdx.x) * kValues; first < row.width;
       first += kThreads * kValues) {
    float logits[kValues];
    Unpack<dtype>(row.Load(first), logits);
    part.Add(logits);
  }
  part.RaiseTo(largest);
  const double sum = SumOverBlock<kThreads>(static_cast<double>(part.sum));
  return {largest, sum, SumOverBlock<kThreads>(static_cast<double>(part.weighted))};
}

/// What a thread has of a row.
template <DType dtype, bool aligned>
__device__ ScaledPart PartOfThread(const LogitRow<dtype, aligned>& row) {
  constexpr int kValues = kValuesAtOnce<dtype>;
  ScaledPart part;
  for (int first = static_cast<int>(threadIdx.x) * kValues; first < row.width;
       first += kThreads * kValues * kLoadsAtOnce) {
    uint4 bytes[kLoadsAtOnce];
#pragma unroll
    for (int i = 0; i < kLoadsAtOnce; ++i) bytes[i] = row.Load(first + i * kThreads * kValues);
    const float most = MostOf<dtype>(bytes);
    if (most > part.largest) part.RaiseTo(most);
#pragma unroll
    for (int i = 0; i < kLoadsAtOnce; ++i) {
      if (first + i * kThreads * kValues >= row.width) break;
      float logits[kValues];
      Unpack<dtype>(bytes[i], logits);
      part.Add(logits);
    }
  }
  return part;
}

/// A block takes a token.
template <DType dtype, bool aligned>
__global__ __launch_bounds__(kThreads, kBlocks) void EntropyPartsKernel(EntropyPartsBatch batch) {
  __shared__ WarpParts<kThreads> warps;
  const int width = batch.vocab_local;
  const LogitRow<dtype, aligned> row{
      static_cast<const std::byte*>(batch.logits) +
          std::int64_t{blockIdx.x} * width * static_cast<int>(DTypeBytes(dtype)),
      width};
  warps.Join(PartOfThread(row));
  const float largest = warps.Largest();
  const bool is_scaled = fabsf(largest) < kMostScaled;
  if (is_scaled && threadIdx.x >= 32) return;
  const EntropyPart part = is_scaled ? warps.All(largest) : PartOfExtremes(row, largest);
  if (threadIdx.x == 0) batch.parts[blockIdx.x] = part;
}

__global__ __launch_bounds__(kThreads) void JoinedEntropyKernel(JoinedEntropyBatch batch) {
  const auto token = static_cast<int>(blockIdx.x * kThreads + threadIdx.x);
  if (token >= batch.tokens) return;
  EntropyPart all{0.0, 0.0, 0.0};
  for (int rank = 0; rank < batch.ranks; ++rank) {
    all = Joined(all, batch.parts[std::int64_t{rank} * batch.tokens + token]);
  }
  const bool is_refused = !(all.sum > 0.0);
  if (is_refused) atomicAdd(batch.faults, 1U);
  batch.entropy[token] =
      is_refused ? std::numeric_limits<float>::quiet_NaN() : static_cast<float>(EntropyOf(all));
}

template <DType dtype>
absl::Status Launch(const EntropyPartsBatch& batch, cudaStream_t stream) {
  const bool aligned = RowsAreAligned<dtype>(batch.logits, batch.vocab_local);
  const auto kernel = aligned ? EntropyPartsKernel<dtype, true> : EntropyPartsKernel<dtype, false>;
  kernel<<<batch.tokens, kThreads, 0, stream>>>(batch);
  return cuda::ToStatus(cudaGetLastError(), "entropy parts");
}

}  // namespace

absl::Status LaunchEntropyParts(const EntropyPartsBatch& batch, cudaStream_t stream) {
  if (batch.tokens < 0 || batch.vocab_local < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("EntropyParts: ", batch.vocab_local, " logits of ", batch.tokens, " tokens"));
  }
  if (batch.tokens == 0) return absl::OkStatus();
  return LaunchForTensor(batch.dtype, "EntropyParts: logits",
                         [&]<DType dtype>() { return Launch<dtype>(batch, stream); });
}

absl::Status LaunchJoinedEntropy(const JoinedEntropyBatch& batch, cudaStream_t stream) {
  if (batch.tokens < 0 || batch.ranks < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("JoinedEntropy: ", batch.ranks, " parts of ", batch.tokens, " tokens"));
  }
  if (batch.tokens == 0) return absl::OkStatus();
  const int blocks = (batch.tokens + kThreads - 1) / kThreads;
  JoinedEntropyKernel<<<blocks, kThreads, 0, stream>>>(batch);
  return cuda::ToStatus(cudaGetLastError(), "joined entropy");
}

}  // namespace pinboard::kernels
