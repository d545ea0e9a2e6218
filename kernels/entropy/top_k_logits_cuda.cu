// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include <limits>

#include "absl/strings/str_cat.h"
#include "base/cuda/cuda_status.h"
#include "kernels/entropy/entropy_core.h"
#include "kernels/entropy/entropy_cuda.cuh"
#include "kernels/row_values.cuh"

namespace pinboard::kernels {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / 32;
constexpr unsigned kAllLanes = 0xffffffffU;
constexpr int kBuffer = 4096;  // candidates
constexpr int kHeld = kBuffer / kThreads;
static_assert(2 * kMaxDeviceTopK <= kBuffer / 4, "a pruned buffer has room for a tile");

/// The largest keys of one row so far, in shared memory; every thread of the block takes part in
/// every call. Holds all keys from threshold() up that were offered.
class Candidates {
 public:
  struct Storage {
    std::uint64_t keys[kBuffer];
    std::uint32_t count;
    alignas(16) std::uint32_t partial[2][kWarps];  // else 16-byte reads take in the neighbours
    std::uint64_t ones[kWarps];
    std::uint64_t common[kWarps];
  };

  __device__ explicit Candidates(Storage& storage) : storage_(storage) {
    if (threadIdx.x == 0) storage_.count = 0;
    __syncthreads();
  }

  __device__ std::uint64_t threshold() const { return threshold_; }
  __device__ int count() const { return static_cast<int>(storage_.count); }
  __device__ std::uint64_t key(int i) const { return storage_.keys[i]; }

  /// Appends those of this thread's keys whose bit is set in `chosen`, in a warp that all comes
  /// here; returns how many there are then, or fewer where other warps append at the same time.
  template <int kKeys>
  __device__ std::uint32_t Append(const std::uint64_t (&keys)[kKeys], std::uint32_t chosen) {
    const int lane = static_cast<int>(threadIdx.x % 32);
    const int mine = __popc(chosen);
    int end = mine;
#pragma unroll
    for (int step = 1; step < 32; step *= 2) {
      const int other = __shfl_up_sync(kAllLanes, end, step);
      if (lane >= step) end += other;
    }
    std::uint32_t first = 0;
    if (lane == 31) first = atomicAdd(&storage_.count, static_cast<std::uint32_t>(end));
    first = __shfl_sync(kAllLanes, first, 31);
    std::uint32_t at = first + static_cast<std::uint32_t>(end - mine);
#pragma unroll
    for (int i = 0; i < kKeys; ++i) {
      if ((chosen >> i & 1U) != 0) storage_.keys[at++] = keys[i];
    }
    return first + static_cast<std::uint32_t>(__shfl_sync(kAllLanes, end, 31));
  }

  /// Drops keys until k to 2 k are left, of more, and raises the threshold to the least of them or
  /// to a value between it and the dropped.
  __device__ void Prune(int k) {
    std::uint64_t held[kHeld];
    const int count = this->count();
#pragma unroll
    for (int i = 0; i < kHeld; ++i) {
      const int at = i * kThreads + static_cast<int>(threadIdx.x);
      held[i] = at < count ? storage_.keys[at] : 0;  // no key is 0
    }
    threshold_ = FindThreshold(held, count, k);
    if (threadIdx.x == 0) storage_.count = 0;
    __syncthreads();
    std::uint32_t stays = 0;
#pragma unroll
    for (int i = 0; i < kHeld; ++i) stays |= (held[i] >= threshold_ ? 1U : 0U) << i;
    Append(held, stays);
    __syncthreads();
  }

  /// Sorts the keys into descending order and fills up with zeros to a power of two.
  __device__ void Sort() {
    int size = 32;
    while (size < count()) size *= 2;
    for (int i = count() + static_cast<int>(threadIdx.x); i < size; i += kThreads) {
      storage_.keys[i] = 0;
    }
    __syncthreads();
    for (int run = 2; run <= size; run *= 2) {
      for (int apart = run / 2; apart > 0; apart /= 2) {
        for (int i = static_cast<int>(threadIdx.x); i < size / 2; i += kThreads) {
          const int low = i / apart * 2 * apart + i % apart;
          OrderPair(low, low + apart, (low & run) == 0);
        }
        __syncthreads();
      }
    }
  }

 private:
  __device__ void OrderPair(int low, int high, bool descending) {
    const std::uint64_t a = storage_.keys[low];
    const std::uint64_t b = storage_.keys[high];
    if ((a < b) == descending) {
      storage_.keys[low] = b;
      storage_.keys[high] = a;
    }
  }

  /// Settles a threshold bit by bit, from the highest in which keys differ, such that at least k of
  /// `count` keys reach it, until at most 2 k do.
  __device__ std::uint64_t FindThreshold(const std::uint64_t (&held)[kHeld], int count, int k) {
    std::uint64_t ones = 0;
    std::uint64_t common = ~std::uint64_t{0};
#pragma unroll
    for (int i = 0; i < kHeld; ++i) {
      ones |= held[i];
      if (held[i] != 0) common &= held[i];
    }
    CombineBits(&ones, &common);
    std::uint64_t threshold = common;
    std::uint64_t undecided = ones & ~common;
    for (int step = 0; undecided != 0 && count > 2 * k; ++step) {
      const std::uint64_t bit = std::uint64_t{1}
                                << (63 - __clzll(static_cast<long long>(undecided)));
      undecided ^= bit;
      int reach = 0;
#pragma unroll
      for (int i = 0; i < kHeld; ++i) reach += held[i] >= (threshold | bit) ? 1 : 0;
      reach = Sum(reach, storage_.partial[step % 2]);
      if (reach >= k) {
        threshold |= bit;
        count = reach;
      }
    }
    return threshold;
  }

  /// Over the block. `partial` may be used again after another barrier.
  __device__ static int Sum(int mine, std::uint32_t (&partial)[kWarps]) {
    const std::uint32_t warp = __reduce_add_sync(kAllLanes, static_cast<unsigned>(mine));
    if (threadIdx.x % 32 == 0) partial[threadIdx.x / 32] = warp;
    __syncthreads();
    std::uint32_t sum = 0;
#pragma unroll
    for (const std::uint32_t part : partial) sum += part;
    return static_cast<int>(sum);
  }

  /// The bits that are set in some key, and those set in all, over the block.
  __device__ void CombineBits(std::uint64_t* ones, std::uint64_t* common) {
#pragma unroll
    for (int apart = 16; apart > 0; apart /= 2) {
      *ones |= __shfl_xor_sync(kAllLanes, *ones, apart);
      *common &= __shfl_xor_sync(kAllLanes, *common, apart);
    }
    if (threadIdx.x % 32 == 0) {
      storage_.ones[threadIdx.x / 32] = *ones;
      storage_.common[threadIdx.x / 32] = *common;
    }
    __syncthreads();
#pragma unroll
    for (int w = 0; w < kWarps; ++w) {
      *ones |= storage_.ones[w];
      *common &= storage_.common[w];
    }
  }

  Storage& storage_;
  std::uint64_t threshold_ = 0;
};

/// Logits in the order in which threads of a block read them.
template <DType dtype>
struct Tile {
  static constexpr int kValues = kValuesAtOnce<dtype>;
  static constexpr int kSize = kThreads * kValues;

  /// The first column that this thread has of a tile.
  __device__ static std::int64_t First(int tile) {
    return std::int64_t{tile} * kSize + std::int64_t{threadIdx.x} * kValues;
  }
};

/// Offers one thread's values of a tile; true where the buffer has no room for another tile.
template <DType dtype>
__device__ bool Offer(const uint4& bytes, std::int64_t first, int width, float least,
                      Candidates& candidates, bool* has_nan) {
  constexpr int kValues = Tile<dtype>::kValues;
  float values[kValues];
  Unpack<dtype>(bytes, values);
  bool any = false;
#pragma unroll
  for (int i = 0; i < kValues; ++i) any |= !(values[i] < least);  // a NaN too
  if (!__any_sync(kAllLanes, any)) return false;

  std::uint64_t keys[kValues];
  std::uint32_t chosen = 0;
#pragma unroll
  for (int i = 0; i < kValues; ++i) {
    const bool present = first + i < width;
    const bool is_number = values[i] == values[i];
    *has_nan |= present && !is_number;
    keys[i] = CandidateKey(values[i], static_cast<std::uint32_t>(first + i));
    chosen |= (present && is_number && keys[i] >= candidates.threshold() ? 1U : 0U) << i;
  }
  return candidates.Append(keys, chosen) > kBuffer - Tile<dtype>::kSize;
}

template <DType dtype>
__global__ __launch_bounds__(kThreads) void TopKLogitsKernel(TopKLogitsBatch batch, bool aligned) {
  __shared__ Candidates::Storage storage;
  const std::int64_t token = blockIdx.x;
  const int width = batch.vocab_local;
  const void* row = static_cast<const std::byte*>(batch.logits) +
                    token * width * static_cast<std::int64_t>(DTypeBytes(dtype));
  const auto load = [&](int tile) {
    return LoadBytes<dtype>(row, Tile<dtype>::First(tile), width, aligned);
  };

  Candidates candidates(storage);
  float least = -std::numeric_limits<float>::infinity();
  bool has_nan = false;
  const int tiles = (width + Tile<dtype>::kSize - 1) / Tile<dtype>::kSize;
  uint4 current = load(0);
  uint4 next = load(1);
  for (int tile = 0; tile < tiles; ++tile) {
    const uint4 after = load(tile + 2);
    const bool full =
        Offer<dtype>(current, Tile<dtype>::First(tile), width, least, candidates, &has_nan);
    if (__syncthreads_or(full) != 0) {
      candidates.Prune(batch.k);
      least = CandidateLogit(candidates.threshold());
    }
    current = next;
    next = after;
  }
  if (candidates.count() > 2 * batch.k) candidates.Prune(batch.k);
  candidates.Sort();

  for (int i = static_cast<int>(threadIdx.x); i < batch.k; i += kThreads) {
    const bool present = i < candidates.count();
    const std::uint64_t key = present ? candidates.key(i) : 0;
    batch.values[token * batch.k + i] =
        present ? CandidateLogit(key) : -std::numeric_limits<float>::infinity();
    batch.ids[token * batch.k + i] =
        present ? batch.vocab_begin + static_cast<std::int32_t>(CandidateColumn(key)) : -1;
  }
  if (__syncthreads_or(has_nan) != 0 && threadIdx.x == 0) atomicAdd(batch.faults, 1U);
}

template <DType dtype>
absl::Status Launch(const TopKLogitsBatch& batch, cudaStream_t stream) {
  const bool aligned = RowsAreAligned<dtype>(batch.logits, batch.vocab_local);
  TopKLogitsKernel<dtype><<<batch.tokens, kThreads, 0, stream>>>(batch, aligned);
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
  switch (batch.dtype) {
    case DType::kBF16:
      return Launch<DType::kBF16>(batch, stream);
    case DType::kF32:
      return Launch<DType::kF32>(batch, stream);
    case DType::kF16:
      break;
  }
  return absl::UnimplementedError("TopKLogits: f16 logits are not supported: use bf16 or f32");
}

}  // namespace pinboard::kernels
