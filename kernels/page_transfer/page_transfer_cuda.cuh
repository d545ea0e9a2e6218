// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Many pages at once between the paged cache on the device and flat memory (page_transfer.h).
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "pinboard/kv_layout.h"

namespace pinboard::kernels {

/// Pages of one layer of one sequence. Pointers: device memory, but for `pages`, which may be host
/// memory mapped into the device (a leased slab).
struct PageGatherBatch {
  KvLayerView cache;
  KvShape shape;
  int block_size = 0;
  const std::int32_t* block_table = nullptr;
  const std::int32_t* rows = nullptr;    // [pages, kPageRows], physical
  const std::uint64_t* seeds = nullptr;  // [pages], IdentitySeed of each page
  std::byte* const* pages = nullptr;     // [pages], each PageBytes(shape), 8-byte aligned
  std::uint64_t* tags = nullptr;         // [pages], out: equal to what PageGather returns
  int count = 0;
};

/// Stream-ordered; allocates nothing, never synchronises. One pass: each byte is read once and
/// written once, and its tag taken in between. Unimplemented: a head's keys or values are not a
/// multiple of 8 bytes.
absl::Status LaunchPageGather(const PageGatherBatch& batch, cudaStream_t stream);

}  // namespace pinboard::kernels
