// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Many pages of many layers and sequences at once between paged caches on the device and flat
// memory (page_transfer.h).
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "kernels/page_transfer/page_transfer.h"
#include "pinboard/kv_layout.h"

namespace pinboard::kernels {

/// One layer of one sequence. Pointers: device memory; all rows of a batch's pages are in the block
/// table; addresses in the cache are multiples of 16 bytes.
struct PageTransferLayer {
  KvLayerView cache;
  const std::int32_t* block_table = nullptr;
};

struct PageToGather {
  PageIdentity identity;
  std::byte* bytes = nullptr;         // [PageBytes(shape)], a multiple of 16
  std::int32_t layer = 0;             // index into the batch's layers
  std::int32_t rows[kPageRows] = {};  // physical
};

/// What pages share. `pages` and the results lie in device memory; the pages' bytes lie there or in
/// host memory that is registered with the device: leased slabs of the service.
struct PageGatherBatch {
  const PageTransferLayer* layers = nullptr;
  const PageToGather* pages = nullptr;  // [count]
  std::uint64_t* tags = nullptr;        // [count], out: what PageGather returns
  int count = 0;
  KvShape shape;
  int block_size = 0;
  int max_blocks = 0;  // thread blocks that work at once; 0: one a page
};

struct PageToScatter {
  PageIdentity identity;
  std::uint64_t tag = 0;
  const std::byte* bytes = nullptr;  // [PageBytes(shape)], a multiple of 16
  std::int32_t layer = 0;            // index into the batch's layers
  std::int32_t first_row = 0;        // of kPageRows physical rows
};

enum class ScatterOutcome : std::uint8_t {
  kWritten,
  kRefused,  // does not match its tag: nothing was written
};

/// As PageGatherBatch. No two pages have a row in common.
struct PageScatterBatch {
  const PageTransferLayer* layers = nullptr;
  const PageToScatter* pages = nullptr;  // [count]
  ScatterOutcome* outcomes = nullptr;    // [count], out
  int count = 0;
  KvShape shape;
  int block_size = 0;
  int max_blocks = 0;
};

/// Stream-ordered; allocates nothing, never synchronises, can be captured in a graph. Each byte is
/// read once and written once, and its tag taken in between. Where pages lie on the host, let
/// max_blocks be what page_transfer_tuning.h says: more do not fill the link any better.
/// InvalidArgument: impossible sizes. Unimplemented: a head's keys or values are not a multiple of
/// 16 bytes.
absl::Status LaunchPageGather(const PageGatherBatch& batch, cudaStream_t stream);

/// The same the other way: a page is held in shared memory until its tag is known, and only then
/// written, so a page that does not verify leaves its rows as they were. Unimplemented, besides: a
/// page does not fit into a block's shared memory (227 KiB on compute capability 9.0).
absl::Status LaunchPageScatter(const PageScatterBatch& batch, cudaStream_t stream);

}  // namespace pinboard::kernels
