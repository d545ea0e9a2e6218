// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include <limits>

#include "absl/strings/str_cat.h"
#include "base/cuda/cuda_status.h"
#include "base/status_macros.h"
#include "kernels/key_values.h"
#include "kernels/page_digest/page_digest_core.h"
#include "kernels/page_digest/page_digest_cuda.cuh"
#include "kernels/paged_rows.h"

namespace pinboard::kernels {
namespace {

constexpr int kThreads = 128;
constexpr int kWarps = kThreads / 32;
constexpr unsigned kAllLanes = 0xffffffffU;
constexpr std::uint32_t kInfinityBits = 0x7f800000U;

/// One KV head of one page, worked on by a block: Clustering of page_digest_cpu.cc.
template <DType dtype>
class HeadDigest {
 public:
  struct Shared {
    const std::byte* keys[kPageRows];
    std::uint32_t largest[kWarps];
    int nearest[kPageRows];
  };

  /// `steps`: shared memory for kPageRows + kDigestCentres rows of key_dim bytes.
  __device__ HeadDigest(const BuildDigestBatch& batch, const BuildDigestProblem& problem,
                        Shared& shared, std::int8_t* steps)
      : dim_(batch.shape.key_dim),
        at_(std::int64_t{problem.slots[blockIdx.x]} * batch.shape.kv_heads + blockIdx.y),
        digests_(problem.digests),
        faults_(batch.faults),
        format_(FormatOf(batch.shape, problem.cache.key, static_cast<int>(blockIdx.y))),
        shared_(shared),
        steps_(steps),
        centres_(steps + kPageRows * dim_) {
    if (threadIdx.x < kPageRows) {
      const std::int32_t row = problem.rows[blockIdx.x * kPageRows + threadIdx.x];
      shared.keys[threadIdx.x] = RowAddress(problem.cache.key, problem.block_table,
                                            batch.block_size, row, static_cast<int>(blockIdx.y));
    }
    __syncthreads();
  }

  __device__ void Build() {
    const std::uint32_t largest = LargestMagnitude();
    const bool is_finite = largest < kInfinityBits;
    const float scale = is_finite ? __uint_as_float(largest) / kKeySteps : 0.0F;
    for (int i = Thread(); i < kPageRows * dim_; i += kThreads) {
      steps_[i] = static_cast<std::int8_t>(is_finite ? QuantisedKey(Key(i), scale) : 0);
    }
    __syncthreads();
    for (int i = Thread(); i < kDigestCentres * dim_; i += kThreads) {
      centres_[i] = steps_[FirstRowOf(i / dim_) * dim_ + i % dim_];
    }
    __syncthreads();
    for (int pass = 0; pass < kClusterPasses; ++pass) {
      FindNearest();
      __syncthreads();
      Recentre();
      __syncthreads();
    }
    Store(is_finite, scale);
  }

 private:
  __device__ static int Thread() { return static_cast<int>(threadIdx.x); }
  /// Value i of the keys [kPageRows, dim].
  __device__ float Key(int i) const {
    return ReadValue<dtype>(shared_.keys[i / dim_], i % dim_, format_);
  }

  /// As bits, which order magnitudes; from kInfinityBits up where a key is not finite.
  __device__ std::uint32_t LargestMagnitude() {
    std::uint32_t largest = 0;
    for (int i = Thread(); i < kPageRows * dim_; i += kThreads) {
      largest = max(largest, __float_as_uint(Key(i)) & 0x7fffffffU);
    }
    largest = __reduce_max_sync(kAllLanes, largest);
    if (threadIdx.x % 32 == 0) shared_.largest[threadIdx.x / 32] = largest;
    __syncthreads();
    for (const std::uint32_t other : shared_.largest) largest = max(largest, other);
    return largest;
  }

  __device__ void FindNearest() {
    for (int row = Thread() / 32; row < kPageRows; row += kWarps) {
      int best = 0;
      std::int32_t least = std::numeric_limits<std::int32_t>::max();
      for (int c = 0; c < kDigestCentres; ++c) {
        std::int32_t distance = 0;
        for (int d = Thread() % 32; d < dim_; d += 32) {
          const std::int32_t apart = steps_[row * dim_ + d] - centres_[c * dim_ + d];
          distance += apart * apart;
        }
        distance = __reduce_add_sync(kAllLanes, distance);
        if (distance < least) {
          least = distance;
          best = c;
        }
      }
      if (Thread() % 32 == 0) shared_.nearest[row] = best;
    }
  }

  __device__ int Count(int centre) const {
    int count = 0;
    for (const int nearest : shared_.nearest) count += nearest == centre ? 1 : 0;
    return count;
  }

  __device__ void Recentre() {
    for (int i = Thread(); i < kDigestCentres * dim_; i += kThreads) {
      const int centre = i / dim_;
      const int count = Count(centre);
      if (count == 0) continue;
      std::int32_t sum = 0;
      for (int row = 0; row < kPageRows; ++row) {
        sum += shared_.nearest[row] == centre ? steps_[row * dim_ + i % dim_] : 0;
      }
      centres_[i] = static_cast<std::int8_t>(RoundedMean(sum, count));
    }
  }

  __device__ void Store(bool is_finite, float scale) {
    for (int i = Thread(); i < kDigestCentres * dim_; i += kThreads) {
      digests_.centres[at_ * kDigestCentres * dim_ + i] = centres_[i];
    }
    if (Thread() < kDigestCentres) {
      digests_.counts[at_ * kDigestCentres + Thread()] =
          static_cast<std::uint8_t>(is_finite ? Count(Thread()) : 0);
    }
    if (Thread() == 0) {
      digests_.step[at_] = scale;
      if (!is_finite) atomicAdd(faults_, 1U);
    }
  }

  const int dim_;
  const std::int64_t at_;  // of this page and head in the digests
  const DeviceDigests digests_;
  std::uint32_t* const faults_;
  const HeadFormat format_;
  Shared& shared_;
  std::int8_t* const steps_;    // [kPageRows, dim]
  std::int8_t* const centres_;  // [kDigestCentres, dim]
};

template <DType dtype>
__global__ __launch_bounds__(kThreads) void BuildDigestKernel(BuildDigestBatch batch) {
  extern __shared__ std::int8_t steps[];
  __shared__ typename HeadDigest<dtype>::Shared shared;
  const BuildDigestProblem problem = batch.problems[blockIdx.z];
  if (static_cast<std::int32_t>(blockIdx.x) >= problem.count) return;
  HeadDigest<dtype>(batch, problem, shared, steps).Build();
}

}  // namespace

absl::Status LaunchBuildDigest(const BuildDigestBatch& batch, cudaStream_t stream) {
  PB_RETURN_IF_ERROR(CheckShape("BuildDigest", batch.shape));
  const int shared = (kPageRows + kDigestCentres) * batch.shape.key_dim;
  constexpr int kMaxShared = 40 << 10;
  if (batch.count < 0 || batch.count > 65535 || batch.most_pages < 0 || batch.block_size <= 0 ||
      batch.shape.kv_heads > 65535 || shared > kMaxShared) {
    return absl::InvalidArgumentError(
        absl::StrCat("BuildDigest: ", batch.count, " problems of up to ", batch.most_pages,
                     " pages of ", batch.shape.kv_heads, " heads of ", batch.shape.key_dim,
                     " in blocks of ", batch.block_size));
  }
  if (batch.count == 0 || batch.most_pages == 0) return absl::OkStatus();
  const dim3 grid(static_cast<unsigned>(batch.most_pages),
                  static_cast<unsigned>(batch.shape.kv_heads), static_cast<unsigned>(batch.count));
  WithDType(batch.shape.dtype, [&](auto dtype) {
    BuildDigestKernel<dtype><<<grid, kThreads, shared, stream>>>(batch);
  });
  return cuda::ToStatus(cudaGetLastError(), "build digest");
}

}  // namespace pinboard::kernels
