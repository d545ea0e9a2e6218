// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <limits>

#include "absl/strings/str_cat.h"
#include "base/cuda/cuda_status.h"
#include "kernels/entropy/entropy_core.h"
#include "kernels/entropy/entropy_cuda.cuh"

namespace pinboard::kernels {
namespace {

constexpr int kMaxWarps = 8;
constexpr unsigned kAllLanes = 0xffffffffU;

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

/// What a logit adds to Z and to the weighted sum of EntropyOfDescending.
struct Term {
  double weight;
  double weighted;
};
static_assert(sizeof(Term) == 2 * sizeof(double));

__device__ Term TermOf(float logit, float largest) {
  const double x = static_cast<double>(logit) - static_cast<double>(largest);
  const double weight = Exp(x);
  return {weight, weight == 0.0 ? 0.0 : weight * x};
}

/// EntropyOfDescending from its terms in shared memory, in the first warp, all of which comes here:
/// lane 0 adds up one sum and lane 1 the other.
__device__ double SumTerms(const Term* terms, int k) {
  const auto lane = static_cast<int>(threadIdx.x);
  double sum = 0.0;
  if (lane < 2) {
    const double* const of_lane = lane == 0 ? &terms->weight : &terms->weighted;
#pragma unroll 16
    for (int i = 0; i < k; ++i) sum += of_lane[2 * i];
  }
  const double z = __shfl_sync(kAllLanes, sum, 0);
  const double weighted = __shfl_sync(kAllLanes, sum, 1);
  return Log(z) - weighted / z;
}

/// A block takes one token, with a warp for each part up to kMaxWarps.
__global__ __launch_bounds__(kMaxWarps * 32) void MergedEntropyKernel(MergedEntropyBatch batch,
                                                                      double divisor) {
  extern __shared__ double shared[];
  const int k = batch.k;
  const auto threads = static_cast<int>(blockDim.x);
  Term* const terms = reinterpret_cast<Term*>(shared);        // [k]
  float* const merged = reinterpret_cast<float*>(terms + k);  // [k]
  float* const parts = merged + k;                            // [parts, k]
  const std::int64_t token = blockIdx.x;

  bool has_nan = false;
  for (int part = 0; part < batch.parts; ++part) {
    const float* const from = batch.values + (std::int64_t{part} * batch.tokens + token) * k;
    for (int i = static_cast<int>(threadIdx.x); i < k; i += threads) {
      const float value = from[i];
      parts[part * k + i] = value;
      has_nan |= value != value;
    }
  }
  const bool is_ordered = __syncthreads_or(has_nan) == 0;
  if (is_ordered) {
    for (int part = 0; part < batch.parts; ++part) {
      for (int i = static_cast<int>(threadIdx.x); i < k; i += threads) {
        const int rank = RankOf(parts, batch.parts, k, part, i);
        if (rank < k) merged[rank] = parts[part * k + i];
      }
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
  for (int i = static_cast<int>(threadIdx.x); i < k; i += threads) {
    terms[i] = TermOf(merged[i], merged[0]);
  }
  __syncthreads();
  if (threadIdx.x >= 32) return;
  const double entropy = SumTerms(terms, k) / divisor;
  if (threadIdx.x == 0) batch.entropy[token] = static_cast<float>(entropy);
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
  const std::size_t shared = k * sizeof(Term) + (1 + batch.parts) * k * sizeof(float);
  const double divisor = batch.unit == EntropyUnit::kOverLogK ? Log(batch.k) : 1.0;
  const int threads = std::min(batch.parts, kMaxWarps) * 32;
  MergedEntropyKernel<<<batch.tokens, threads, shared, stream>>>(batch, divisor);
  return cuda::ToStatus(cudaGetLastError(), "merged entropy");
}

}  // namespace pinboard::kernels
