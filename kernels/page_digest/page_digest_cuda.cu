// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
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
constexpr std::uint32_t kEvenBytes = 0x00ff00ffU;
static_assert(kDigestCentres == 2, "a row belongs to one centre or to the other");

/// Four steps to a word; the last word of a row ends with zeros.
__host__ __device__ constexpr int Words(int dim) { return (dim + 3) / 4; }

/// kWhole: dim is a multiple of 4, and so are the addresses of four keys and of four steps.
template <DType dtype, bool kWhole>
__device__ float4 LoadKeys(const std::byte* keys, int word, int dim, HeadFormat format) {
  if constexpr (kWhole && dtype == DType::kF32) {
    return __ldg(reinterpret_cast<const float4*>(keys) + word);
  } else if constexpr (kWhole && dtype == DType::kBF16) {
    const uint2 bits = __ldg(reinterpret_cast<const uint2*>(keys) + word);
    return {__uint_as_float(bits.x << 16U), __uint_as_float(bits.x & 0xffff0000U),
            __uint_as_float(bits.y << 16U), __uint_as_float(bits.y & 0xffff0000U)};
  } else {
    const auto key = [&](int d) { return d < dim ? ReadValue<dtype>(keys, d, format) : 0.0F; };
    return {key(4 * word), key(4 * word + 1), key(4 * word + 2), key(4 * word + 3)};
  }
}

__device__ std::uint32_t Magnitude(float key) { return __float_as_uint(key) & 0x7fffffffU; }

__device__ std::uint32_t Byte(std::int32_t value, int place) {
  return (static_cast<std::uint32_t>(value) & 0xffU) << (8 * place);
}

/// Sums of the four bytes of words, each with 128 added to it, of at most kPageRows words.
struct ByteSums {
  std::uint32_t even = 0;  // bytes 0 and 2, 16 bits each
  std::uint32_t odd = 0;   // bytes 1 and 3

  __device__ void Add(std::uint32_t word) {
    even += (word ^ 0x80808080U) & kEvenBytes;
    odd += ((word ^ 0x80808080U) >> 8U) & kEvenBytes;
  }
  __device__ std::int32_t Sum(int byte, int words) const {
    const std::uint32_t both = byte % 2 == 0 ? even : odd;
    return static_cast<std::int32_t>((both >> (16 * (byte / 2))) & 0xffffU) - 128 * words;
  }
};

/// One KV head of one page, worked on by a block: Clustering of page_digest_cpu.cc.
template <DType dtype, bool kWhole>
class HeadDigest {
 public:
  struct Shared {
    const std::byte* keys[kPageRows];
    std::uint32_t largest[kWarps];
    std::uint8_t nearest[kPageRows];
  };

  /// `steps`: shared memory for kPageRows + kDigestCentres rows of words.
  __device__ HeadDigest(const BuildDigestBatch& batch, const BuildDigestProblem& problem,
                        Shared& shared, std::uint32_t* steps)
      : dim_(batch.shape.key_dim),
        words_(Words(dim_)),
        at_(std::int64_t{problem.slots[blockIdx.x]} * batch.shape.kv_heads + blockIdx.y),
        digests_(problem.digests),
        faults_(batch.faults),
        format_(FormatOf(batch.shape, problem.cache.key, static_cast<int>(blockIdx.y))),
        shared_(shared),
        steps_(steps),
        centres_(steps + kPageRows * words_) {
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
    Quantise(is_finite, scale);
    std::uint32_t of_first = ~0U;  // a bit for each row that is nearest to the first centre
    for (int pass = 0; pass < kClusterPasses; ++pass) {
      FindNearest();
      __syncthreads();
      const std::uint32_t before = of_first;
      of_first = RowsOfFirst();
      if (pass > 0 && of_first == before) break;  // so are the centres what they were
      Recentre(of_first);
      __syncthreads();
    }
    Store(is_finite, scale, of_first);
  }

 private:
  __device__ static int Thread() { return static_cast<int>(threadIdx.x); }

  /// As bits, which order magnitudes; from kInfinityBits up where a key is not finite.
  __device__ std::uint32_t LargestMagnitude() {
    std::uint32_t largest = 0;
    for (int row = Thread() / 32; row < kPageRows; row += kWarps) {
      for (int word = Thread() % 32; word < words_; word += 32) {
        const float4 keys = LoadKeys<dtype, kWhole>(shared_.keys[row], word, dim_, format_);
        largest =
            max(max(max(largest, Magnitude(keys.x)), max(Magnitude(keys.y), Magnitude(keys.z))),
                Magnitude(keys.w));
      }
    }
    largest = __reduce_max_sync(kAllLanes, largest);
    if (threadIdx.x % 32 == 0) shared_.largest[threadIdx.x / 32] = largest;
    __syncthreads();
    for (const std::uint32_t other : shared_.largest) largest = max(largest, other);
    return largest;
  }

  /// Rows in steps, and the first guesses.
  __device__ void Quantise(bool is_finite, float scale) {
    for (int row = Thread() / 32; row < kPageRows; row += kWarps) {
      for (int word = Thread() % 32; word < words_; word += 32) {
        std::uint32_t four = 0;
        if (is_finite) {
          const float4 keys = LoadKeys<dtype, kWhole>(shared_.keys[row], word, dim_, format_);
          four = Byte(QuantisedKey(keys.x, scale), 0) | Byte(QuantisedKey(keys.y, scale), 1) |
                 Byte(QuantisedKey(keys.z, scale), 2) | Byte(QuantisedKey(keys.w, scale), 3);
        }
        steps_[row * words_ + word] = four;
        for (int c = 0; c < kDigestCentres; ++c) {
          if (row == FirstRowOf(c)) centres_[c * words_ + word] = four;
        }
      }
    }
    __syncthreads();
  }

  /// A row is as far from a centre as |centre|^2 - 2 row.centre says, but for what both have.
  __device__ void FindNearest() {
    for (int row = Thread() / 32; row < kPageRows; row += kWarps) {
      std::int32_t first = 0;
      std::int32_t second = 0;
      for (int word = Thread() % 32; word < words_; word += 32) {
        const auto step = static_cast<std::int32_t>(steps_[row * words_ + word]);
        const auto a = static_cast<std::int32_t>(centres_[word]);
        const auto b = static_cast<std::int32_t>(centres_[words_ + word]);
        first += __dp4a(a, a, 0) - 2 * __dp4a(step, a, 0);
        second += __dp4a(b, b, 0) - 2 * __dp4a(step, b, 0);
      }
      const bool is_second =
          __reduce_add_sync(kAllLanes, second) < __reduce_add_sync(kAllLanes, first);
      if (Thread() % 32 == 0) shared_.nearest[row] = is_second ? 1 : 0;
    }
  }

  __device__ std::uint32_t RowsOfFirst() const {
    const int lane = Thread() % 32;
    return __ballot_sync(kAllLanes, lane < kPageRows && shared_.nearest[lane % kPageRows] == 0);
  }

  __device__ void Recentre(std::uint32_t of_first) {
    for (int word = Thread(); word < words_; word += kThreads) {
      ByteSums sums[kDigestCentres];
      for (int row = 0; row < kPageRows; ++row) {
        const std::uint32_t step = steps_[row * words_ + word];
        if (((of_first >> row) & 1U) != 0) {
          sums[0].Add(step);
        } else {
          sums[1].Add(step);
        }
      }
      for (int c = 0; c < kDigestCentres; ++c) {
        const int count = Count(c, of_first);
        if (count == 0) continue;
        const MeanOf mean(count);
        std::uint32_t four = 0;
        for (int byte = 0; byte < 4; ++byte) four |= Byte(mean(sums[c].Sum(byte, count)), byte);
        centres_[c * words_ + word] = four;
      }
    }
  }

  __device__ static int Count(int centre, std::uint32_t of_first) {
    const int first = __popc(of_first);
    return centre == 0 ? first : kPageRows - first;
  }

  __device__ void Store(bool is_finite, float scale, std::uint32_t of_first) {
    std::int8_t* const out = digests_.centres + at_ * kDigestCentres * dim_;
    if constexpr (kWhole) {
      for (int word = Thread(); word < kDigestCentres * words_; word += kThreads) {
        reinterpret_cast<std::uint32_t*>(out)[word] = centres_[word];
      }
    } else {
      for (int i = Thread(); i < kDigestCentres * dim_; i += kThreads) {
        const auto* const centre =
            reinterpret_cast<const std::int8_t*>(centres_ + i / dim_ * words_);
        out[i] = centre[i % dim_];
      }
    }
    if (Thread() < kDigestCentres) {
      digests_.counts[at_ * kDigestCentres + Thread()] =
          static_cast<std::uint8_t>(is_finite ? Count(Thread(), of_first) : 0);
    }
    if (Thread() == 0) {
      digests_.step[at_] = scale;
      if (!is_finite) atomicAdd(faults_, 1U);
    }
  }

  const int dim_;
  const int words_;        // of a row
  const std::int64_t at_;  // of this page and head in the digests
  const DeviceDigests digests_;
  std::uint32_t* const faults_;
  const HeadFormat format_;
  Shared& shared_;
  std::uint32_t* const steps_;    // [kPageRows, words]
  std::uint32_t* const centres_;  // [kDigestCentres, words]
};

template <DType dtype, bool kWhole>
__global__ __launch_bounds__(kThreads) void BuildDigestKernel(BuildDigestBatch batch) {
  extern __shared__ std::uint32_t steps[];
  __shared__ typename HeadDigest<dtype, kWhole>::Shared shared;
  const BuildDigestProblem problem = batch.problems[blockIdx.z];
  if (static_cast<std::int32_t>(blockIdx.x) >= problem.count) return;
  HeadDigest<dtype, kWhole>(batch, problem, shared, steps).Build();
}

}  // namespace

absl::Status LaunchBuildDigest(const BuildDigestBatch& batch, cudaStream_t stream) {
  PB_RETURN_IF_ERROR(CheckShape("BuildDigest", batch.shape));
  const int shared = (kPageRows + kDigestCentres) * Words(batch.shape.key_dim) * 4;
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
  const bool is_whole = batch.shape.key_dim % 4 == 0;
  WithDType(batch.shape.dtype, [&](auto dtype) {
    const auto kernel = is_whole ? BuildDigestKernel<dtype, true> : BuildDigestKernel<dtype, false>;
    kernel<<<grid, kThreads, shared, stream>>>(batch);
  });
  return cuda::ToStatus(cudaGetLastError(), "build digest");
}

}  // namespace pinboard::kernels
