// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Pages between the paged cache and flat memory, with the tag that proves them.
#pragma once

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/page.h"
#include "pinboard/kv_layout.h"

namespace pinboard::kernels {

/// What a page's tag binds besides its bytes: a stale or misplaced page never verifies.
struct PageIdentity {
  PageKey key;
  std::uint32_t generation = 0;
};

/// 64-bit tag of a page: a sum (mod 2^64) over its 8-byte words of a mix of (word, index,
/// identity), so that any order of summation, on any device, gives the same value. Detects
/// corruption, not an adversary. page.size() is a multiple of 8.
std::uint64_t PageTag(absl::Span<const std::byte> page, const PageIdentity& identity);

struct PageCopyArgs {
  KvLayerView cache;
  KvShape shape;
  int block_size = 0;
  absl::Span<const std::int32_t> block_table;
};

/// Bytes of a page of this shape: kPageRows rows of [keys of all heads | values of all heads].
inline std::size_t PageBytes(const KvShape& shape) { return kPageRows * shape.RowBytes(); }

/// Copies kPageRows physical rows into `page` (which may be mapped memory of the service, written
/// once and front to back) and returns their tag.
absl::StatusOr<std::uint64_t> PageGather(const PageCopyArgs& args,
                                         absl::Span<const std::int32_t> rows,
                                         const PageIdentity& identity, absl::Span<std::byte> page);

/// Checks `page` against `tag` and only then copies it to physical rows first_row ... + kPageRows
/// - 1. DataLoss: the tag does not match; nothing was written.
absl::Status PageScatter(const PageCopyArgs& args, int first_row, const PageIdentity& identity,
                         std::uint64_t tag, absl::Span<const std::byte> page);

}  // namespace pinboard::kernels
