// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/shard/toy_memory.h"

#include "base/cuda/cuda_status.h"

namespace pinboard::testing {

Backend ToyBackend() { return Backend::kCuda; }
void* AllocateToyMemory(std::size_t bytes) {
  void* memory = nullptr;
  return cudaMallocHost(&memory, bytes) == cudaSuccess ? memory : nullptr;
}
void FreeToyMemory(void* memory) { (void)cudaFreeHost(memory); }
void AwaitToyBackend() { (void)cudaDeviceSynchronize(); }
void CopyToyMemory(void* to, const void* from, std::size_t bytes) {
  (void)cudaMemcpy(to, from, bytes, cudaMemcpyDefault);
}

}  // namespace pinboard::testing
