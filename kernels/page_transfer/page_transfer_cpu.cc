// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstring>
#include <memory>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/stream_copies.h"
#include "kernels/page_transfer/page_transfer.h"
#include "kernels/page_transfer/page_transfer_core.h"
#include "kernels/paged_rows.h"
#include "kernels/vector_clones.h"

namespace pinboard::kernels {
namespace {

PB_VECTOR_CLONES std::uint64_t SumTerms(const std::byte* bytes, std::uint64_t words,
                                        std::uint64_t seed) {
  std::uint64_t sum = 0;
  for (std::uint64_t i = 0; i < words; ++i) {
    std::uint64_t word;
    std::memcpy(&word, bytes + i * sizeof(word), sizeof(word));
    sum += TagTerm(word, i, seed);
  }
  return sum;
}

absl::Status CheckPage(absl::string_view operation, const PageCopyArgs& args, std::int64_t end_row,
                       std::size_t page_bytes) {
  PB_RETURN_IF_ERROR(
      CheckRows(operation, {args.cache, args.shape, args.block_size, args.block_table}, end_row));
  if (page_bytes != PageBytes(args.shape)) {
    return absl::InvalidArgumentError(absl::StrCat(operation, ": the page has ", page_bytes,
                                                   " bytes, this shape needs ",
                                                   PageBytes(args.shape)));
  }
  return absl::OkStatus();
}

/// Calls copy(address in the cache, bytes) for the pieces of a row in the order of the page.
template <typename Copy>
void ForEachPiece(const PageCopyArgs& args, std::int64_t row, Copy copy) {
  const auto plane = [&](const KvPlane& plane, std::size_t bytes) {
    const std::size_t head_bytes = bytes / static_cast<std::size_t>(args.shape.kv_heads);
    for (int head = 0; head < args.shape.kv_heads; ++head) {
      copy(RowAddress(plane, args.block_table.data(), args.block_size, row, head), head_bytes);
    }
  };
  plane(args.cache.key, args.shape.KeyBytes());
  if (!args.shape.value_in_key) plane(args.cache.value, args.shape.ValueBytes());
}

}  // namespace

std::uint64_t PageTag(absl::Span<const std::byte> page, const PageIdentity& identity) {
  return SumTerms(page.data(), page.size() / sizeof(std::uint64_t), IdentitySeed(identity));
}

absl::StatusOr<std::uint64_t> PageGather(const PageCopyArgs& args,
                                         absl::Span<const std::int32_t> rows,
                                         const PageIdentity& identity, absl::Span<std::byte> page) {
  if (rows.size() != kPageRows) {
    return absl::InvalidArgumentError(
        absl::StrCat("PageGather: ", rows.size(), " rows: a page has ", kPageRows));
  }
  std::int64_t end_row = 0;
  for (const std::int32_t row : rows) {
    if (row < 0) return absl::InvalidArgumentError("PageGather: rows are numbered from 0");
    end_row = std::max<std::int64_t>(end_row, std::int64_t{row} + 1);
  }
  PB_RETURN_IF_ERROR(CheckPage("PageGather", args, end_row, page.size()));

  // Packed here first: the page may be mapped memory that is slow to read back.
  const auto packed = std::make_unique_for_overwrite<std::byte[]>(page.size());
  std::byte* at = packed.get();
  for (const std::int32_t row : rows) {
    ForEachPiece(args, row, [&](const std::byte* piece, std::size_t bytes) {
      std::memcpy(at, piece, bytes);
      at += bytes;
    });
  }
  StreamCopies().Copy(page.data(), packed.get(), page.size());
  return PageTag({packed.get(), page.size()}, identity);
}

absl::Status PageScatter(const PageCopyArgs& args, int first_row, const PageIdentity& identity,
                         std::uint64_t tag, absl::Span<const std::byte> page) {
  if (first_row < 0) return absl::InvalidArgumentError("PageScatter: rows are numbered from 0");
  PB_RETURN_IF_ERROR(
      CheckPage("PageScatter", args, std::int64_t{first_row} + kPageRows, page.size()));
  if (PageTag(page, identity) != tag) {
    return absl::DataLossError(absl::StrCat("PageScatter: page ", identity.key.page, " of layer ",
                                            identity.key.layer,
                                            " does not match its tag: nothing was written"));
  }
  const std::byte* at = page.data();
  for (int i = 0; i < kPageRows; ++i) {
    ForEachPiece(args, std::int64_t{first_row} + i, [&](std::byte* piece, std::size_t bytes) {
      std::memcpy(piece, at, bytes);
      at += bytes;
    });
  }
  return absl::OkStatus();
}

}  // namespace pinboard::kernels
