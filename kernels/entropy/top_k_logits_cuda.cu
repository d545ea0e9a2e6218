// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <limits>

#include "absl/strings/str_cat.h"
#include "base/cuda/cuda_status.h"
#include "kernels/entropy/candidate_keys.cuh"
#include "kernels/entropy/entropy_cuda.cuh"
#include "kernels/entropy/largest_keys.cuh"
#include "kernels/entropy/logit_tiles.cuh"
#include "kernels/entropy/resident_row.cuh"
#include "kernels/row_values.cuh"
#include "kernels/tensor_dtype.cuh"

namespace pinboard::kernels {
namespace {

constexpr int kThreads = LargestKeys<DType::kBF16, LongKey>::kThreads;
/// Blocks that a multiprocessor runs at once.
template <typename KeyOf>
constexpr int kBlocks = sizeof(typename KeyOf::Type) == 4 ? 6 : 5;
constexpr int kResidentBlocks = 4;

/// The row of this block's token.
template <DType dtype>
__device__ const void* LogitsOf(const TopKLogitsBatch& batch) {
  return static_cast<const std::byte*>(batch.logits) +
         std::int64_t{blockIdx.x} * batch.vocab_local * static_cast<int>(DTypeBytes(dtype));
}

/// What this block's token gets.
template <typename KeyOf>
class TokenResults {
 public:
  __device__ explicit TokenResults(const TopKLogitsBatch& batch) : batch_(batch) {}

  __device__ void Write(int rank, typename KeyOf::Type key) const {
    batch_.values[First() + rank] = KeyOf::Logit(key);
    batch_.ids[First() + rank] = batch_.vocab_begin + static_cast<std::int32_t>(KeyOf::Column(key));
  }
  /// By all threads: nothing from `rank` on.
  __device__ void FillFrom(int rank) const {
    for (int i = rank + static_cast<int>(threadIdx.x); i < batch_.k; i += kThreads) {
      batch_.values[First() + i] = -std::numeric_limits<float>::infinity();
      batch_.ids[First() + i] = -1;
    }
  }
  /// By all threads.
  template <DType dtype>
  __device__ void WriteSorted(const LargestKeys<dtype, KeyOf>& largest) const {
    const int count = min(largest.count(), batch_.k);
    for (int i = static_cast<int>(threadIdx.x); i < count; i += kThreads) Write(i, largest.key(i));
    FillFrom(count);
  }

 private:
  __device__ std::int64_t First() const { return std::int64_t{blockIdx.x} * batch_.k; }

  const TopKLogitsBatch& batch_;
};

__device__ void CountFault(const TopKLogitsBatch& batch, bool has_nan) {
  if (__syncthreads_or(has_nan) != 0 && threadIdx.x == 0) atomicAdd(batch.faults, 1U);
}

template <DType dtype, typename KeyOf>
__global__ __launch_bounds__(kThreads, kBlocks<KeyOf>) void TopKLogitsKernel(TopKLogitsBatch batch,
                                                                             bool aligned) {
  using Largest = LargestKeys<dtype, KeyOf>;
  __shared__ typename KeyOf::Type keys[Largest::kBuffer];
  __shared__ typename Largest::Storage storage;
  const int width = batch.vocab_local;
  const typename Tile<dtype>::Row row{LogitsOf<dtype>(batch), width, aligned};
  const TokenResults<KeyOf> results(batch);

  Largest largest(keys, storage, width <= 1 << 24);
  largest.Begin();
  if (width > Tile<dtype>::kSize) {
    Tile<dtype> sample;
    sample.Load(row, 0, width / Tile<dtype>::kSize);
    std::uint32_t halves[Tile<dtype>::kValues];
    sample.KeysOf(halves);
    largest.Guess(halves, GuessRank<dtype>(batch.k, width));
  }
  bool has_nan = false;
  OfferRow(row, batch.k, largest, &has_nan);
  if (largest.count() < min(batch.k, width)) {  // the guess was too high
    largest.Begin();
    OfferRow(row, batch.k, largest, &has_nan);
  }
  // Short keys are sorted in less time than they are pruned.
  largest.Prune(batch.k, sizeof(typename KeyOf::Type) == 4 ? kMaxDeviceTopK : batch.k);
  largest.Sort();
  results.WriteSorted(largest);
  CountFault(batch, has_nan);
}

/// Of rows of bf16, aligned and of at most ResidentRow::kColumns, and k of at most its kMostK.
__global__ __launch_bounds__(kThreads,
                             kResidentBlocks) void ResidentTopKLogitsKernel(TopKLogitsBatch batch) {
  using Largest = LargestKeys<DType::kBF16, ShortKey>;
  constexpr int kCandidates = 2048;  // where their keys begin
  __shared__ union {
    std::uint32_t keys[Largest::kBuffer];
    ResidentRow::Storage row;
  } shared;
  static_assert(sizeof(ResidentRow::Storage) <= kCandidates * sizeof(std::uint32_t));
  static_assert(kCandidates + ResidentRow::kRoom <= Largest::kBuffer);
  __shared__ typename Largest::Storage storage;
  const auto* const logits = static_cast<const std::uint16_t*>(LogitsOf<DType::kBF16>(batch));
  const TokenResults<ShortKey> results(batch);
  std::uint32_t* const candidates = shared.keys + kCandidates;

  bool has_nan = false;
  ResidentRow row(logits, batch.vocab_local, shared.row);
  const bool is_found = row.FindCandidates(batch.k);
  const auto write = [&](int rank, std::uint32_t key) { results.Write(rank, key); };
  if (is_found && row.Rank(batch.k, candidates, &has_nan, write)) {
    results.FillFrom(row.count());
  } else {
    Largest largest(shared.keys, storage, true);
    largest.Begin();
    if (is_found) {
      for (int i = static_cast<int>(threadIdx.x); i < row.count(); i += kThreads) {
        largest.Append(candidates[i]);
      }
      __syncthreads();
    } else {
      OfferRow({logits, batch.vocab_local, true}, batch.k, largest, &has_nan);
      largest.Prune(batch.k, kMaxDeviceTopK);
    }
    largest.Sort();
    results.WriteSorted(largest);
  }
  CountFault(batch, has_nan);
}

template <DType dtype, typename KeyOf>
absl::Status Launch(const TopKLogitsBatch& batch, bool aligned, cudaStream_t stream) {
  TopKLogitsKernel<dtype, KeyOf><<<batch.tokens, kThreads, 0, stream>>>(batch, aligned);
  return cuda::ToStatus(cudaGetLastError(), "top-k logits");
}

absl::Status LaunchResident(const TopKLogitsBatch& batch, cudaStream_t stream) {
  ResidentTopKLogitsKernel<<<batch.tokens, kThreads, 0, stream>>>(batch);
  return cuda::ToStatus(cudaGetLastError(), "top-k logits");
}

}  // namespace

absl::Status LaunchTopKLogits(const TopKLogitsBatch& batch, cudaStream_t stream) {
  if (batch.tokens < 0 || batch.vocab_local < 0 || batch.vocab_begin < 0 || batch.k <= 0) {
    return absl::InvalidArgumentError(absl::StrCat("TopKLogits: the ", batch.k, " largest of ",
                                                   batch.vocab_local, " logits of ", batch.tokens,
                                                   " tokens: k must be positive"));
  }
  if (batch.k > kMaxDeviceTopK) {
    return absl::UnimplementedError(
        absl::StrCat("TopKLogits: k is ", batch.k, ": the device takes at most ", kMaxDeviceTopK));
  }
  if (batch.tokens == 0) return absl::OkStatus();
  return LaunchForTensor(batch.dtype, "TopKLogits: logits", [&]<DType dtype>() {
    const bool aligned = RowsAreAligned<dtype>(batch.logits, batch.vocab_local);
    if constexpr (dtype == DType::kBF16) {
      if (aligned && batch.vocab_local <= ResidentRow::kColumns && batch.k <= ResidentRow::kMostK) {
        return LaunchResident(batch, stream);
      }
      if (batch.vocab_local <= ShortKey::kColumns) {
        return Launch<dtype, ShortKey>(batch, aligned, stream);
      }
    }
    return Launch<dtype, LongKey>(batch, aligned, stream);
  });
}

}  // namespace pinboard::kernels
