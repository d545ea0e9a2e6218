// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Bulk copies of rows between global and shared memory (PTX cp.async.bulk, from sm_90), by the
// threads of one warp.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/mbarrier.cuh"
#include "kernels/row_words.cuh"

namespace pinboard::kernels::compact {

/// What a warp's loads say when they have arrived, one round after another.
class Arrivals {
 public:
  /// By all lanes; the block synchronises before it is used.
  __device__ explicit Arrivals(std::uint64_t* barrier) : barrier_(SharedAddress(barrier)) {
    if (threadIdx.x % 32 != 0) return;
    barrier_.Init(1);
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
  }
  /// A round of this many bytes, by all lanes, before its loads.
  __device__ void Expect(std::uint32_t bytes) const {
    if (threadIdx.x % 32 == 0) barrier_.ArriveExpecting(bytes);
    __syncwarp();
  }
  __device__ void Load(std::uint32_t shared, const std::byte* global, std::uint32_t bytes) const {
    asm volatile(
        "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, "
        "[%3];" ::"r"(shared),
        "l"(global), "r"(bytes), "r"(barrier_.address())
        : "memory");
  }
  /// For all of the round's bytes, by all lanes.
  __device__ void Await() {
    barrier_.Wait(parity_);
    parity_ ^= 1U;
  }

 private:
  const Mbarrier barrier_;
  std::uint32_t parity_ = 0;
};

/// A thread's stores follow what other threads were seen to have read.
__device__ inline void BeginStores() { asm volatile("fence.proxy.async;" ::: "memory"); }
__device__ inline void Store(std::byte* global, std::uint32_t shared, std::uint32_t bytes) {
  asm volatile("cp.async.bulk.global.shared::cta.bulk_group [%0], [%1], %2;" ::"l"(global),
               "r"(shared), "r"(bytes)
               : "memory");
}
__device__ inline void EndStores() { asm volatile("cp.async.bulk.commit_group;" ::: "memory"); }
/// Shared memory may be written again once this thread's stores have read it.
__device__ inline void AwaitStoresRead() {
  asm volatile("cp.async.bulk.wait_group.read 0;" ::: "memory");
}
__device__ inline void AwaitStores() { asm volatile("cp.async.bulk.wait_group 0;" ::: "memory"); }

/// The contiguous pieces of a row: a plane's heads, or all of them where one follows another.
class RowPieces {
 public:
  __device__ RowPieces(const KvLayerView& cache, const RowWords& words)
      : key_(cache.key.head_stride, words.key, words.heads),
        value_(cache.value.head_stride, words.value, words.value == 0 ? 0 : words.heads) {}

  /// Calls copy(global, shared, bytes) for each piece of the row that lies whole at `shared`.
  template <typename Copy>
  __device__ void ForEach(const RowPlace& place, std::uint32_t shared, Copy copy) const {
    value_.ForEach(place.value, key_.ForEach(place.key, shared, copy), copy);
  }

 private:
  struct Plane {
    std::int64_t stride;
    std::uint32_t bytes;
    int count;

    __device__ Plane(std::int64_t head_stride, int head_words, int heads)
        : stride(head_stride), bytes(head_words * kWordBytes), count(heads) {
      if (heads > 0 && stride == bytes) {
        bytes *= heads;
        count = 1;
      }
    }
    template <typename Copy>
    __device__ std::uint32_t ForEach(std::byte* first, std::uint32_t shared, Copy copy) const {
      for (int i = 0; i < count; ++i, shared += bytes) copy(first + i * stride, shared, bytes);
      return shared;
    }
  };
  Plane key_;
  Plane value_;
};

}  // namespace pinboard::kernels::compact
