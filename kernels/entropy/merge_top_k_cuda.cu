// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "absl/strings/str_cat.h"
#include "base/cuda/cuda_status.h"
#include "kernels/entropy/entropy_core.h"
#include "kernels/entropy/entropy_cuda.cuh"
#include "kernels/entropy/merge_top_k_cuda.cuh"

namespace pinboard::kernels {
namespace {

constexpr int kThreads = 128;

/// How many of k descending keys come before `key`, or before or with it.
__device__ int CountBefore(const std::uint64_t* descending, int k, std::uint64_t key,
                           bool or_equal) {
  int begin = 0;
  int end = k;
  while (begin < end) {
    const int middle = (begin + end) / 2;
    if (descending[middle] > key || (or_equal && descending[middle] == key)) {
      begin = middle + 1;
    } else {
      end = middle;
    }
  }
  return begin;
}

/// A block a token.
__global__ __launch_bounds__(kThreads) void MergeTopKKernel(MergeTopKBatch batch) {
  __shared__ std::uint64_t own[kMaxDeviceTopK];
  __shared__ std::uint64_t more[kMaxDeviceTopK];
  const std::int64_t first = std::int64_t{blockIdx.x} * batch.k;
  float* const values = batch.values + first;
  std::int32_t* const ids = batch.ids + first;
  for (int i = static_cast<int>(threadIdx.x); i < batch.k; i += kThreads) {
    own[i] = CandidateKey(values[i], static_cast<std::uint32_t>(ids[i]));
    more[i] = CandidateKey(batch.more_values[first + i],
                           static_cast<std::uint32_t>(batch.more_ids[first + i]));
  }
  __syncthreads();
  const auto place = [&](int at, std::uint64_t key) {
    if (at >= batch.k) return;
    values[at] = CandidateLogit(key);
    ids[at] = static_cast<std::int32_t>(CandidateColumn(key));
  };
  for (int i = static_cast<int>(threadIdx.x); i < batch.k; i += kThreads) {
    place(i + CountBefore(more, batch.k, own[i], false), own[i]);
    place(i + CountBefore(own, batch.k, more[i], true), more[i]);
  }
}

}  // namespace

absl::Status LaunchMergeTopK(const MergeTopKBatch& batch, cudaStream_t stream) {
  if (batch.tokens < 0 || batch.k <= 0) {
    return absl::InvalidArgumentError(absl::StrCat("MergeTopK: the ", batch.k, " largest of ",
                                                   batch.tokens, " tokens: k must be positive"));
  }
  if (batch.k > kMaxDeviceTopK) {
    return absl::UnimplementedError(absl::StrCat("MergeTopK: the device merges at most ",
                                                 kMaxDeviceTopK, " candidates, not ", batch.k));
  }
  if (batch.tokens == 0) return absl::OkStatus();
  MergeTopKKernel<<<batch.tokens, kThreads, 0, stream>>>(batch);
  return cuda::ToStatus(cudaGetLastError(), "merge top-k");
}

}  // namespace pinboard::kernels
