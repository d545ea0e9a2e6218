// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include <limits>

#include "absl/strings/str_cat.h"
#include "base/cuda/cuda_status.h"
#include "kernels/entropy/entropy_core.h"
#include "kernels/entropy/entropy_cuda.cuh"

namespace pinboard::kernels {
namespace {

constexpr int kThreads = 256;

/// How many of k descending values are above `value`, or above or equal.
__device__ int CountAbove(const float* descending, int k, float value, bool or_equal) {
  int begin = 0;
  int end = k;
  while (begin < end) {
    const int middle = (begin + end) / 2;
    const bool above = or_equal ? descending[middle] >= value : descending[middle] > value;
    if (above) {
      begin = middle + 1;
    } else {
      end = middle;
    }
  }
  return begin;
}

/// The place of value i of a part in the order of all parts: ties go to the lower part.
__device__ int RankOf(const float* parts, int count, int k, int part, int i) {
  const float value = parts[part * k + i];
  int rank = i;
  for (int other = 0; other < count; ++other) {
    if (other != part) rank += CountAbove(parts + other * k, k, value, other < part);
  }
  return rank;
}

/// EntropyOfDescending of `logits`, whose terms are in shared memory.
__device__ double SumTerms(const double* weights, const double* weighted, int k) {
  double z = 0.0;
  double sum = 0.0;
  for (int i = 0; i < k && weights[i] != 0.0; ++i) {
    z += weights[i];
    sum += weighted[i];
  }
  return Log(z) - sum / z;
}

__global__ __launch_bounds__(kThreads) void MergedEntropyKernel(MergedEntropyBatch batch,
                                                                double divisor) {
  extern __shared__ double shared[];
  const int k = batch.k;
  double* const weights = shared;                                // [k]
  double* const weighted = weights + k;                          // [k]
  float* const merged = reinterpret_cast<float*>(weighted + k);  // [k]
  float* const parts = merged + k;                               // [parts, k]
  const std::int64_t token = blockIdx.x;
  const int values = batch.parts * k;

  bool has_nan = false;
  for (int i = static_cast<int>(threadIdx.x); i < values; i += kThreads) {
    const std::int64_t row = std::int64_t{i / k} * batch.tokens + token;
    parts[i] = batch.values[row * k + i % k];
    has_nan |= parts[i] != parts[i];
  }
  const bool is_ordered = __syncthreads_or(has_nan) == 0;
  if (is_ordered) {
    for (int i = static_cast<int>(threadIdx.x); i < values; i += kThreads) {
      const int rank = RankOf(parts, batch.parts, k, i / k, i % k);
      if (rank < k) merged[rank] = parts[i];
    }
  }
  __syncthreads();
  if (!is_ordered || !(fabsf(merged[0]) <= std::numeric_limits<float>::max())) {
    if (threadIdx.x == 0) {
      batch.entropy[token] = std::numeric_limits<float>::quiet_NaN();
      atomicAdd(batch.faults, 1U);
    }
    return;
  }
  for (int i = static_cast<int>(threadIdx.x); i < k; i += kThreads) {
    const double x = static_cast<double>(merged[i]) - static_cast<double>(merged[0]);
    weights[i] = Exp(x);
    weighted[i] = weights[i] * x;
  }
  __syncthreads();
  if (threadIdx.x == 0) {
    batch.entropy[token] = static_cast<float>(SumTerms(weights, weighted, k) / divisor);
  }
}

}  // namespace

absl::Status LaunchMergedEntropy(const MergedEntropyBatch& batch, cudaStream_t stream) {
  if (batch.parts <= 0 || batch.tokens < 0 || batch.k <= 0 ||
      (batch.unit == EntropyUnit::kOverLogK && batch.k == 1)) {
    return absl::InvalidArgumentError(
        absl::StrCat("MergedEntropy: ", batch.parts, " parts, ", batch.tokens, " tokens, k ",
                     batch.k, ": parts and k must be positive, and k above 1 to divide by ln k"));
  }
  if (batch.k > kMaxDeviceTopK || batch.parts > kMaxDeviceParts) {
    return absl::UnimplementedError(absl::StrCat("MergedEntropy: ", batch.parts, " parts of ",
                                                 batch.k, " logits: the device merges at most ",
                                                 kMaxDeviceParts, " of ", kMaxDeviceTopK));
  }
  if (batch.tokens == 0) return absl::OkStatus();
  const auto k = static_cast<std::size_t>(batch.k);
  const std::size_t shared = 2 * k * sizeof(double) + (1 + batch.parts) * k * sizeof(float);
  const double divisor = batch.unit == EntropyUnit::kOverLogK ? Log(batch.k) : 1.0;
  MergedEntropyKernel<<<batch.tokens, kThreads, shared, stream>>>(batch, divisor);
  return cuda::ToStatus(cudaGetLastError(), "merged entropy");
}

}  // namespace pinboard::kernels
