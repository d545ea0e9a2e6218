// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Does compute-sanitizer's initcheck see what a bulk store writes? Where it reports reads here
// while no value is wrong, it does not, and such reports elsewhere say nothing.
//
//   nvcc -arch=sm_90a -o /tmp/bulk_store scripts/sanitizers/bulk_store.cu
//   compute-sanitizer --tool initcheck /tmp/bulk_store          # and with an argument: plain
//   stores
#include <cuda_runtime.h>

#include <cstdio>

namespace {

constexpr int kValues = 256;

__global__ void StorePlainly(float* to) { to[threadIdx.x] = threadIdx.x; }

__global__ void StoreInBulk(float* to) {
  __shared__ alignas(128) float values[kValues];
  values[threadIdx.x] = threadIdx.x;
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
  __syncthreads();
  if (threadIdx.x > 0) return;
  const auto from = static_cast<unsigned>(__cvta_generic_to_shared(values));
  asm volatile("cp.async.bulk.global.shared::cta.bulk_group [%0], [%1], %2;" ::"l"(to), "r"(from),
               "n"(sizeof(values))
               : "memory");
  asm volatile("cp.async.bulk.commit_group;\n\tcp.async.bulk.wait_group 0;" ::: "memory");
}

__global__ void Double(const float* from, float* to) { to[threadIdx.x] = 2 * from[threadIdx.x]; }

}  // namespace

int main(int argc, char**) {
  float* stored = nullptr;
  float* doubled = nullptr;
  cudaMalloc(&stored, kValues * sizeof(float));
  cudaMalloc(&doubled, kValues * sizeof(float));
  (argc > 1 ? StorePlainly : StoreInBulk)<<<1, kValues>>>(stored);
  Double<<<1, kValues>>>(stored, doubled);
  float values[kValues];
  cudaMemcpy(values, doubled, sizeof(values), cudaMemcpyDeviceToHost);
  int wrong = 0;
  for (int i = 0; i < kValues; ++i) wrong += values[i] == 2.0F * i ? 0 : 1;
  std::printf("%s: %d of %d values wrong\n", argc > 1 ? "plain stores" : "a bulk store", wrong,
              kValues);
  return wrong > 0 ? 1 : 0;
}
