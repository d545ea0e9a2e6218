// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "base/cuda/cuda_status.h"
#include "base/status_macros.h"
#include "engine/cuda/device_kv_cache.cuh"

namespace pinboard::engine {
namespace {

constexpr int kThreads = 256;
constexpr int kBlocksAtOnce = 256;  // of a launch: their numbers travel with it
constexpr std::size_t kStagingBytes = std::size_t{32} << 20;

struct BlockPairs {
  std::int32_t from[kBlocksAtOnce];
  std::int32_t to[kBlocksAtOnce];
};
struct BlockList {
  std::int32_t blocks[kBlocksAtOnce];
};

/// A block's bytes in one plane are a multiple of 32: at least 16 tokens of 2 bytes.
__device__ void CopyBytes(const std::byte* from, std::byte* to, std::int64_t bytes) {
  const auto* source = reinterpret_cast<const uint4*>(from);
  auto* target = reinterpret_cast<uint4*>(to);
  for (std::int64_t i = threadIdx.x; i < bytes / 16; i += kThreads) target[i] = source[i];
}

/// grid: pairs, planes.
__global__ __launch_bounds__(kThreads) void CopyKernel(const KvPlane* planes,
                                                       const BlockPairs pairs) {
  const KvPlane plane = planes[blockIdx.y];
  CopyBytes(plane.base + pairs.from[blockIdx.x] * plane.block_stride,
            plane.base + pairs.to[blockIdx.x] * plane.block_stride, plane.block_stride);
}

/// Where a plane's part begins among all planes of one block.
__device__ std::int64_t OffsetOf(const KvPlane* planes, unsigned plane) {
  std::int64_t offset = 0;
  for (unsigned i = 0; i < plane; ++i) offset += planes[i].block_stride;
  return offset;
}

/// Between the cache and blocks that lie one after another. grid: blocks, planes.
__global__ __launch_bounds__(kThreads) void StageKernel(const KvPlane* planes, const BlockList list,
                                                        std::int64_t block_bytes, bool save,
                                                        std::byte* staging) {
  const KvPlane plane = planes[blockIdx.y];
  std::byte* const in_cache = plane.base + list.blocks[blockIdx.x] * plane.block_stride;
  std::byte* const staged = staging + blockIdx.x * block_bytes + OffsetOf(planes, blockIdx.y);
  CopyBytes(save ? in_cache : staged, save ? staged : in_cache, plane.block_stride);
}

}  // namespace

absl::StatusOr<std::unique_ptr<DeviceKvCache>> DeviceKvCache::Create(const KvCacheOptions& options,
                                                                     cudaStream_t stream) {
  PB_RETURN_IF_ERROR(CheckOptions(options));
  if (options.shape.dtype != DType::kBF16) {
    return absl::InvalidArgumentError("the cache dtype on the device must be bf16");
  }
  std::unique_ptr<DeviceKvCache> cache(new DeviceKvCache(options, stream));
  for (int area = 0; area < cache->areas(); ++area) {
    auto memory = cuda::DeviceBuffer<std::byte>::Make(cache->AreaBytes());
    if (!memory.ok()) {
      return absl::Status(
          memory.status().code(),
          absl::StrCat("no device memory for a KV cache of ", options.blocks, " blocks (",
                       cache->AreaBytes() * cache->areas(), " bytes): give it fewer"));
    }
    cache->AddArea(memory->data());
    cache->memory_.push_back(*std::move(memory));
  }
  PB_RETURN_IF_ERROR(cache->UploadPlanes());
  PB_ASSIGN_OR_RETURN(cache->staging_, cuda::DeviceBuffer<std::byte>::Make(cache->BlocksAtOnce() *
                                                                           cache->BlockBytes()));
  return cache;
}

absl::Status DeviceKvCache::UploadPlanes() {
  std::vector<KvPlane> planes;
  for (const KvLayerView& view : views()) {
    planes.push_back(view.key);
    if (view.value.base != nullptr) planes.push_back(view.value);
  }
  PB_ASSIGN_OR_RETURN(planes_, cuda::DeviceBuffer<KvPlane>::Make(planes.size()));
  PB_RETURN_IF_ERROR(planes_.CopyFrom(planes, stream_));
  return cuda::ToStatus(cudaStreamSynchronize(stream_), "copy planes to the device");
}

std::size_t DeviceKvCache::BlocksAtOnce() const {
  return std::clamp<std::size_t>(kStagingBytes / BlockBytes(), 1, kBlocksAtOnce);
}

absl::Status DeviceKvCache::CopyBlocks(absl::Span<const std::int32_t> from,
                                       absl::Span<const std::int32_t> to) {
  for (std::size_t first = 0; first < from.size(); first += kBlocksAtOnce) {
    const std::size_t count = std::min<std::size_t>(kBlocksAtOnce, from.size() - first);
    BlockPairs pairs;
    std::copy_n(from.begin() + first, count, pairs.from);
    std::copy_n(to.begin() + first, count, pairs.to);
    const dim3 grid(static_cast<unsigned>(count), static_cast<unsigned>(planes_.size()));
    CopyKernel<<<grid, kThreads, 0, stream_>>>(planes_.data(), pairs);
    PB_RETURN_IF_ERROR(cuda::ToStatus(cudaGetLastError(), "copy blocks"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::byte>> DeviceKvCache::SaveBlocks(
    absl::Span<const std::int32_t> blocks) const {
  std::vector<std::byte> saved(blocks.size() * BlockBytes());
  for (std::size_t first = 0; first < blocks.size(); first += BlocksAtOnce()) {
    const std::size_t count = std::min(BlocksAtOnce(), blocks.size() - first);
    BlockList list;
    std::copy_n(blocks.begin() + first, count, list.blocks);
    const dim3 grid(static_cast<unsigned>(count), static_cast<unsigned>(planes_.size()));
    StageKernel<<<grid, kThreads, 0, stream_>>>(planes_.data(), list, BlockBytes(), true,
                                                staging_.data());
    PB_RETURN_IF_ERROR(cuda::ToStatus(cudaGetLastError(), "save blocks"));
    PB_RETURN_IF_ERROR(
        cuda::ToStatus(cudaMemcpyAsync(saved.data() + first * BlockBytes(), staging_.data(),
                                       count * BlockBytes(), cudaMemcpyDeviceToHost, stream_),
                       "save blocks"));
    PB_RETURN_IF_ERROR(cuda::ToStatus(cudaStreamSynchronize(stream_), "save blocks"));
  }
  return saved;
}

absl::Status DeviceKvCache::RestoreBlocks(absl::Span<const std::int32_t> blocks,
                                          absl::Span<const std::byte> saved) {
  for (std::size_t first = 0; first < blocks.size(); first += BlocksAtOnce()) {
    const std::size_t count = std::min(BlocksAtOnce(), blocks.size() - first);
    BlockList list;
    std::copy_n(blocks.begin() + first, count, list.blocks);
    PB_RETURN_IF_ERROR(
        cuda::ToStatus(cudaMemcpyAsync(staging_.data(), saved.data() + first * BlockBytes(),
                                       count * BlockBytes(), cudaMemcpyHostToDevice, stream_),
                       "restore blocks"));
    const dim3 grid(static_cast<unsigned>(count), static_cast<unsigned>(planes_.size()));
    StageKernel<<<grid, kThreads, 0, stream_>>>(planes_.data(), list, BlockBytes(), false,
                                                staging_.data());
    PB_RETURN_IF_ERROR(cuda::ToStatus(cudaGetLastError(), "restore blocks"));
    PB_RETURN_IF_ERROR(cuda::ToStatus(cudaStreamSynchronize(stream_), "restore blocks"));
  }
  return absl::OkStatus();
}

}  // namespace pinboard::engine
