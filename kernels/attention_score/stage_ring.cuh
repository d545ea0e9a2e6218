// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Stages in shared memory that some warps of a block fill with asynchronous copies while others
// work on those filled before: an mbarrier for "full" and one for "empty" a stage.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "kernels/mbarrier.cuh"

namespace pinboard::kernels {

/// What was written to shared memory before is what the tensor cores read after.
__device__ inline void FenceForTensorCores() {
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

/// Begins to copy 16 bytes, or zeros where `present` is false, past L1. L2 fetches the 256 bytes
/// around them, which the row's next chunk asks for soon.
__device__ inline void BeginCopy16(std::uint32_t shared, const void* from, bool present) {
  asm volatile("cp.async.cg.shared.global.L2::256B [%0], [%1], 16, %2;" ::"r"(shared), "l"(from),
               "r"(present ? 16 : 0)
               : "memory");
}

/// kStages stages of kStageBytes. Its barriers are the 16 * kStages bytes from `barriers` on.
template <int kStages, int kStageBytes>
class StageRing {
 public:
  static constexpr int kBarrierBytes = 16 * kStages;

  __device__ StageRing(std::uint32_t stages, std::uint32_t barriers)
      : stages_(stages), barriers_(barriers) {}

  /// By one thread, before a barrier of the block. `producers`, `consumers`: threads that arrive.
  __device__ void Init(int producers, int consumers) const {
    for (int stage = 0; stage < kStages; ++stage) {
      Full(stage).Init(producers);
      Empty(stage).Init(consumers);
    }
  }
  __device__ std::uint32_t Stage(int stage) const { return stages_ + stage * kStageBytes; }
  __device__ Mbarrier Full(int stage) const { return Mbarrier(barriers_ + 16 * stage); }
  __device__ Mbarrier Empty(int stage) const { return Mbarrier(barriers_ + 16 * stage + 8); }

 private:
  std::uint32_t stages_;
  std::uint32_t barriers_;
};

/// The place in a ring of the chunks that a warp goes through, `first` and then each kStride-th.
template <int kStages, int kStride = 1>
class RingPlace {
 public:
  __device__ explicit RingPlace(int first) : stage_(first) {}

  __device__ int stage() const { return stage_; }
  /// Of the round that ends when this chunk is full; the producer waits for the one before it.
  __device__ std::uint32_t parity() const { return parity_; }
  __device__ void Next() {
    stage_ += kStride;
    if (stage_ >= kStages) {
      stage_ -= kStages;
      parity_ ^= 1U;
    }
  }

 private:
  int stage_;
  std::uint32_t parity_ = 0;
};

}  // namespace pinboard::kernels
