// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Barriers in shared memory that asynchronous copies arrive at (PTX mbarrier, from sm_90).
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

namespace pinboard::kernels {

__device__ inline std::uint32_t SharedAddress(const void* shared) {
  return static_cast<std::uint32_t>(__cvta_generic_to_shared(shared));
}

/// The 8 bytes at `address` of shared memory. A phase ends when all have arrived and all bytes that
/// were expected are there.
class Mbarrier {
 public:
  __device__ explicit Mbarrier(std::uint32_t address) : address_(address) {}

  __device__ std::uint32_t address() const { return address_; }

  /// By one thread, before a barrier of the block.
  __device__ void Init(int arrivals) const {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(address_), "r"(arrivals)
                 : "memory");
  }
  __device__ void Arrive() const {
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(address_) : "memory");
  }
  /// Arrives, and has the phase wait for so many bytes of bulk copies besides.
  __device__ void ArriveExpecting(std::uint32_t bytes) const {
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(address_),
                 "r"(bytes)
                 : "memory");
  }
  /// Arrives once the copies that this thread has begun (cp.async) are there.
  __device__ void ArriveAfterCopies() const {
    asm volatile("cp.async.mbarrier.arrive.noinc.shared::cta.b64 [%0];" ::"r"(address_) : "memory");
  }
  /// Until the phase of this parity has ended.
  __device__ void Wait(std::uint32_t parity) const {
    std::uint32_t done = 0;
    while (done == 0) {
      asm volatile(
          "{\n.reg .pred done;\n"
          "mbarrier.try_wait.parity.shared::cta.b64 done, [%1], %2;\n"
          "selp.u32 %0, 1, 0, done;\n}"
          : "=r"(done)
          : "r"(address_), "r"(parity)
          : "memory");
    }
  }

 private:
  std::uint32_t address_;
};

}  // namespace pinboard::kernels
