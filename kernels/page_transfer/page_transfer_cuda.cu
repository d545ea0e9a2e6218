// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "base/cuda/cuda_status.h"
#include "kernels/page_transfer/page_transfer_core.h"
#include "kernels/page_transfer/page_transfer_cuda.cuh"
#include "kernels/paged_rows.h"

namespace pinboard::kernels {
namespace {

constexpr int kThreads = 256;

/// Where word `word` of a row lies: heads' keys first, then heads' values.
__device__ const std::uint64_t* WordAddress(const PageGatherBatch& batch, std::int32_t row,
                                            int word, int key_words, int value_words) {
  const bool in_key = word < key_words * batch.shape.kv_heads;
  const KvPlane& plane = in_key ? batch.cache.key : batch.cache.value;
  const int head_words = in_key ? key_words : value_words;
  const int at = in_key ? word : word - key_words * batch.shape.kv_heads;
  const std::byte* base =
      RowAddress(plane, batch.block_table, batch.block_size, row, at / head_words);
  return reinterpret_cast<const std::uint64_t*>(base) + at % head_words;
}

__global__ void PageGatherKernel(PageGatherBatch batch, int key_words, int value_words) {
  const int page = static_cast<int>(blockIdx.x);
  const int row_words = (key_words + value_words) * batch.shape.kv_heads;
  auto* out = reinterpret_cast<std::uint64_t*>(batch.pages[page]);
  std::uint64_t sum = 0;
  for (int i = static_cast<int>(threadIdx.x); i < row_words * kPageRows; i += kThreads) {
    const std::int32_t row = batch.rows[page * kPageRows + i / row_words];
    const std::uint64_t word = *WordAddress(batch, row, i % row_words, key_words, value_words);
    out[i] = word;
    sum += TagTerm(word, static_cast<std::uint64_t>(i), batch.seeds[page]);
  }
  // Integer sums: any order gives the tag of the CPU specification.
  __shared__ std::uint64_t partial[kThreads / 32];
  for (int lane = 16; lane > 0; lane /= 2) sum += __shfl_down_sync(0xffffffffU, sum, lane);
  if (threadIdx.x % 32 == 0) partial[threadIdx.x / 32] = sum;
  __syncthreads();
  if (threadIdx.x == 0) {
    std::uint64_t tag = 0;
    for (const std::uint64_t part : partial) tag += part;
    batch.tags[page] = tag;
  }
}

}  // namespace

absl::Status LaunchPageGather(const PageGatherBatch& batch, cudaStream_t stream) {
  if (batch.count == 0) return absl::OkStatus();
  const auto heads = static_cast<std::size_t>(batch.shape.kv_heads);
  const std::size_t key_bytes = batch.shape.KeyBytes() / heads;
  const std::size_t value_bytes = batch.shape.ValueBytes() / heads;
  if (key_bytes % 8 != 0 || value_bytes % 8 != 0) {
    return absl::UnimplementedError(
        "page gather: a head's keys and values must be multiples of 8 bytes");
  }
  PageGatherKernel<<<batch.count, kThreads, 0, stream>>>(batch, static_cast<int>(key_bytes / 8),
                                                         static_cast<int>(value_bytes / 8));
  return cuda::ToStatus(cudaGetLastError(), "page gather");
}

}  // namespace pinboard::kernels
