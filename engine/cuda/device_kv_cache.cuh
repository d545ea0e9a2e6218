// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The KV cache in device memory.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/cuda/device_buffer.h"
#include "engine/kv_cache.h"

namespace pinboard::engine {

/// Of bf16 rows, which the kernels write and read. Blocks are copied in the order of one stream;
/// SaveBlocks and RestoreBlocks wait for it.
class DeviceKvCache final : public KvCache {
 public:
  /// `stream` outlives the cache. InvalidArgument: block size, dtype or capacity.
  /// ResourceExhausted: the device's memory is too small.
  static absl::StatusOr<std::unique_ptr<DeviceKvCache>> Create(const KvCacheOptions& options,
                                                               cudaStream_t stream);

  absl::StatusOr<std::vector<std::byte>> SaveBlocks(
      absl::Span<const std::int32_t> blocks) const override;
  absl::Status RestoreBlocks(absl::Span<const std::int32_t> blocks,
                             absl::Span<const std::byte> saved) override;
  absl::Status CopyBlocks(absl::Span<const std::int32_t> from,
                          absl::Span<const std::int32_t> to) override;

 private:
  DeviceKvCache(const KvCacheOptions& options, cudaStream_t stream)
      : KvCache(options), stream_(stream) {}

  /// The planes of all areas, where the kernels find them.
  absl::Status UploadPlanes();
  /// Blocks that go through staging memory at once.
  std::size_t BlocksAtOnce() const;

  cudaStream_t stream_;
  std::vector<cuda::DeviceBuffer<std::byte>> memory_;  // [areas]
  cuda::DeviceBuffer<KvPlane> planes_;
  cuda::DeviceBuffer<std::byte> staging_;  // BlocksAtOnce() blocks, each with all its planes
};

}  // namespace pinboard::engine
