// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "base/cuda/cuda_status.h"
#include "kernels/block_sum.cuh"
#include "kernels/page_transfer/page_transfer_core.h"
#include "kernels/page_transfer/page_transfer_cuda.cuh"
#include "kernels/row_words.cuh"

namespace pinboard::kernels {
namespace {

constexpr int kThreads = 256;
constexpr int kWordsHeld = 8;                   // loads of a thread in flight
constexpr std::size_t kBytesBesidePage = 1024;  // of shared memory

/// The terms of the two 8-byte words that a 16-byte one consists of.
__device__ std::uint64_t TagTerms(const uint4& word, int index, std::uint64_t seed) {
  const auto at = static_cast<std::uint64_t>(index) * 2;
  const std::uint64_t low = word.x | std::uint64_t{word.y} << 32U;
  const std::uint64_t high = word.z | std::uint64_t{word.w} << 32U;
  return TagTerm(low, at, seed) + TagTerm(high, at + 1, seed);
}

/// Copies `words` words from source(i) to target(i), kWordsHeld loads of a thread in flight, and
/// returns the sum of this thread's terms.
template <typename Source, typename Target>
__device__ std::uint64_t CopyAndTag(int words, std::uint64_t seed, Source source, Target target) {
  std::uint64_t sum = 0;
  for (int first = static_cast<int>(threadIdx.x); first < words; first += kThreads * kWordsHeld) {
    uint4 held[kWordsHeld];
#pragma unroll
    for (int i = 0; i < kWordsHeld; ++i) {
      const int at = first + i * kThreads;
      if (at < words) held[i] = __ldcs(source(at));
    }
#pragma unroll
    for (int i = 0; i < kWordsHeld; ++i) {
      const int at = first + i * kThreads;
      if (at >= words) break;
      *target(at) = held[i];
      sum += TagTerms(held[i], at, seed);
    }
  }
  return sum;
}

/// Word `at` of the page whose rows lie at `rows`.
__device__ uint4* CacheWord(const RowPlace* rows, const KvLayerView& cache, const RowWords& words,
                            int at) {
  return WordAddress(rows[at / words.all()], words, cache.key.head_stride, cache.value.head_stride,
                     at % words.all());
}

__global__ __launch_bounds__(kThreads) void PageGatherKernel(PageGatherBatch batch,
                                                             RowWords words) {
  __shared__ RowPlace rows[kPageRows];
  for (int index = static_cast<int>(blockIdx.x); index < batch.count;
       index += static_cast<int>(gridDim.x)) {
    const PageToGather& page = batch.pages[index];
    const PageTransferLayer& layer = batch.layers[page.layer];
    if (threadIdx.x < kPageRows) {
      rows[threadIdx.x] =
          PlaceOf(layer.cache, layer.block_table, batch.block_size, page.rows[threadIdx.x]);
    }
    __syncthreads();
    auto* const out = reinterpret_cast<uint4*>(page.bytes);
    const std::uint64_t sum = CopyAndTag(
        words.all() * kPageRows, IdentitySeed(page.identity),
        [&](int at) { return CacheWord(rows, layer.cache, words, at); },
        [&](int at) { return out + at; });
    // Integers: any order gives the tag of the CPU specification.
    const std::uint64_t tag = SumOverBlock<kThreads>(sum);
    if (threadIdx.x == 0) batch.tags[index] = tag;
  }
}

__global__ __launch_bounds__(kThreads) void PageScatterKernel(PageScatterBatch batch,
                                                              RowWords words) {
  __shared__ RowPlace rows[kPageRows];
  extern __shared__ uint4 held[];  // the page
  const int page_words = words.all() * kPageRows;
  for (int index = static_cast<int>(blockIdx.x); index < batch.count;
       index += static_cast<int>(gridDim.x)) {
    const PageToScatter& page = batch.pages[index];
    const PageTransferLayer& layer = batch.layers[page.layer];
    if (threadIdx.x < kPageRows) {
      rows[threadIdx.x] = PlaceOf(layer.cache, layer.block_table, batch.block_size,
                                  page.first_row + static_cast<std::int32_t>(threadIdx.x));
    }
    const auto* const in = reinterpret_cast<const uint4*>(page.bytes);
    const std::uint64_t sum = CopyAndTag(
        page_words, IdentitySeed(page.identity), [&](int at) { return in + at; },
        [&](int at) { return held + at; });
    const bool verifies = SumOverBlock<kThreads>(sum) == page.tag;  // and the page is in `held`
    for (int at = static_cast<int>(threadIdx.x); verifies && at < page_words; at += kThreads) {
      *CacheWord(rows, layer.cache, words, at) = held[at];
    }
    if (threadIdx.x == 0) {
      batch.outcomes[index] = verifies ? ScatterOutcome::kWritten : ScatterOutcome::kRefused;
    }
    __syncthreads();
  }
}

template <typename Batch>
absl::StatusOr<RowWords> CheckBatch(const char* operation, const Batch& batch) {
  if (batch.count < 0 || batch.block_size <= 0 || batch.max_blocks < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(operation, ": ", batch.count, " pages, blocks of ", batch.block_size,
                     " rows, at most ", batch.max_blocks, " thread blocks"));
  }
  return CutIntoWords(operation, batch.shape);
}

template <typename Batch>
int Blocks(const Batch& batch) {
  return batch.max_blocks == 0 ? batch.count : std::min(batch.count, batch.max_blocks);
}

}  // namespace

absl::Status LaunchPageGather(const PageGatherBatch& batch, cudaStream_t stream) {
  PB_ASSIGN_OR_RETURN(const RowWords words, CheckBatch("PageGather", batch));
  if (batch.count == 0) return absl::OkStatus();
  PageGatherKernel<<<Blocks(batch), kThreads, 0, stream>>>(batch, words);
  return cuda::ToStatus(cudaGetLastError(), "page gather");
}

absl::Status LaunchPageScatter(const PageScatterBatch& batch, cudaStream_t stream) {
  PB_ASSIGN_OR_RETURN(const RowWords words, CheckBatch("PageScatter", batch));
  int device = 0;
  int most_bytes = 0;
  PB_RETURN_IF_ERROR(cuda::ToStatus(cudaGetDevice(&device), "page scatter"));
  PB_RETURN_IF_ERROR(cuda::ToStatus(
      cudaDeviceGetAttribute(&most_bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, device),
      "page scatter"));
  const std::size_t page_bytes = PageBytes(batch.shape);
  if (page_bytes + kBytesBesidePage > static_cast<std::size_t>(most_bytes)) {
    return absl::UnimplementedError(absl::StrCat("PageScatter: a page of ", page_bytes,
                                                 " bytes does not fit into the ", most_bytes,
                                                 " bytes of shared memory of a thread block"));
  }
  if (batch.count == 0) return absl::OkStatus();
  PB_RETURN_IF_ERROR(cuda::ToStatus(
      cudaFuncSetAttribute(PageScatterKernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                           static_cast<int>(page_bytes)),
      "page scatter"));
  PageScatterKernel<<<Blocks(batch), kThreads, page_bytes, stream>>>(batch, words);
  return cuda::ToStatus(cudaGetLastError(), "page scatter");
}

}  // namespace pinboard::kernels
