// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include <limits>

#include "absl/strings/str_cat.h"
#include "base/cuda/cuda_status.h"
#include "kernels/block_sum.cuh"
#include "kernels/full_entropy/full_entropy_core.h"
#include "kernels/full_entropy/full_entropy_cuda.cuh"
#include "kernels/row_values.cuh"
#include "kernels/tensor_dtype.cuh"

namespace pinboard::kernels {
namespace {

constexpr int kThreads = 256;
constexpr int kBlocks = 6;       // that a multiprocessor runs at once
constexpr int kLoadsAtOnce = 4;  // of a thread
constexpr float kLog2E = 1.44269504F;

__device__ float Exp2(float x) {
  float power;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(power) : "f"(x));
  return power;
}

/// An EntropyPart in single precision, of logits that one thread goes through. A NaN or +inf makes
/// its sum NaN.
struct ThreadPart {
  float largest = std::numeric_limits<float>::lowest();
  float sum = 0.0F;
  float weighted = 0.0F;

  template <int kValues>
  __device__ void Add(const float (&logits)[kValues]) {
    float most = logits[0];
#pragma unroll
    for (int i = 1; i < kValues; ++i) most = fmaxf(most, logits[i]);
    if (most > largest) RaiseTo(most);
#pragma unroll
    for (int i = 0; i < kValues; ++i) {
      const float below = logits[i] - largest;
      const float weight = Exp2(below * kLog2E);
      sum += weight;
      weighted = __fmaf_rn(weight, fmaxf(below, -1000.0F), weighted);  // -inf weighs nothing
    }
  }
  __device__ void RaiseTo(float most) {
    const float below = fmaxf(largest - most, -1000.0F);
    const float weight = Exp2(below * kLog2E);
    weighted = weight * __fmaf_rn(below, sum, weighted);
    sum *= weight;
    largest = most;
  }
};

/// Logits first ... of a row of `width`, -inf beyond its end.
template <DType dtype>
__device__ void UnpackLogits(const uint4& bytes, int first, int width,
                             float (&logits)[kValuesAtOnce<dtype>]) {
  Unpack<dtype>(bytes, logits);
  if (first + kValuesAtOnce<dtype> <= width) return;
#pragma unroll
  for (int i = 0; i < kValuesAtOnce<dtype>; ++i) {
    if (first + i >= width) logits[i] = -std::numeric_limits<float>::infinity();
  }
}

/// A block takes a token.
template <DType dtype>
__global__ __launch_bounds__(kThreads, kBlocks) void EntropyPartsKernel(EntropyPartsBatch batch,
                                                                        bool aligned) {
  constexpr int kValues = kValuesAtOnce<dtype>;
  const int width = batch.vocab_local;
  const void* row = static_cast<const std::byte*>(batch.logits) +
                    std::int64_t{blockIdx.x} * width * static_cast<int>(DTypeBytes(dtype));
  ThreadPart part;
  const int begin = static_cast<int>(threadIdx.x) * kValues;
  for (int first = begin; first < width; first += kThreads * kValues * kLoadsAtOnce) {
    uint4 bytes[kLoadsAtOnce];
#pragma unroll
    for (int i = 0; i < kLoadsAtOnce; ++i) {
      bytes[i] = LoadBytes<dtype>(row, first + i * kThreads * kValues, width, aligned);
    }
#pragma unroll
    for (int i = 0; i < kLoadsAtOnce; ++i) {
      if (first + i * kThreads * kValues >= width) break;
      float logits[kValues];
      UnpackLogits<dtype>(bytes[i], first + i * kThreads * kValues, width, logits);
      part.Add(logits);
    }
  }
  const float largest =
      OverBlock<kThreads>(part.largest, [](float a, float b) { return fmaxf(a, b); });
  part.RaiseTo(largest);
  const double sum = SumOverBlock<kThreads>(static_cast<double>(part.sum));
  const double weighted = SumOverBlock<kThreads>(static_cast<double>(part.weighted));
  if (threadIdx.x == 0) batch.parts[blockIdx.x] = {largest, sum, weighted};
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
  EntropyPartsKernel<dtype><<<batch.tokens, kThreads, 0, stream>>>(batch, aligned);
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
