// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// One page as three of a launch: of two layers, and with its bytes on the device and on the host.
#include <algorithm>
#include <vector>

#include "kernels/page_transfer/page_transfer_cuda.cuh"
#include "tests/kernels/cache_on_device.cuh"
#include "tests/kernels/pinned_buffer.cuh"
#include "tests/kernels/under_test/under_test.h"

namespace pinboard::kernels::under_test {
namespace {

/// Two copies of the cache.
std::vector<PageTransferLayer> Layers(OnDevice& device, const PageCopyArgs& args,
                                      const CacheCopies& copies) {
  const std::int32_t* table = device.In(args.block_table);
  return {{copies.view(0), table}, {copies.view(1), table}};
}

absl::Span<std::byte> Extent(const PageCopyArgs& args) {
  return CacheExtent(args.cache, args.shape, args.block_size, {args.block_table});
}

}  // namespace

absl::StatusOr<std::uint64_t> PageGather(const PageCopyArgs& args,
                                         absl::Span<const std::int32_t> rows,
                                         const PageIdentity& identity, absl::Span<std::byte> page) {
  OnDevice device;
  const CacheCopies copies(device, args.cache, args.shape, Extent(args), 2);
  const PinnedBuffer on_host(page.size());
  std::byte* const targets[] = {device.Out<std::byte>(page.size()), on_host.bytes().data(),
                                device.Out<std::byte>(page.size())};
  std::vector<PageToGather> pages;
  for (int i = 0; i < 3; ++i) {
    PageToGather& gathered = pages.emplace_back(PageToGather{identity, targets[i], i / 2});
    std::copy(rows.begin(), rows.end(), gathered.rows);
  }
  PageGatherBatch batch{device.In(Layers(device, args, copies)), device.In(pages)};
  batch.tags = device.Out<std::uint64_t>(pages.size());
  batch.count = static_cast<int>(pages.size());
  batch.shape = args.shape;
  batch.block_size = args.block_size;
  batch.max_blocks = 2;
  PB_RETURN_IF_ERROR(device.Finish(LaunchPageGather(batch, nullptr)));

  std::vector<std::uint64_t> tags(pages.size());
  device.Read(batch.tags, absl::MakeSpan(tags));
  std::vector<std::byte> other(page.size());
  device.Read(targets[2], absl::MakeSpan(other));
  device.Read(targets[0], page);
  if (page != on_host.bytes() || page != absl::MakeConstSpan(other) || tags[0] != tags[1] ||
      tags[0] != tags[2]) {
    return absl::InternalError("three pages of the same rows came out differently");
  }
  return tags[0];
}

absl::Status PageScatter(const PageCopyArgs& args, int first_row, const PageIdentity& identity,
                         std::uint64_t tag, absl::Span<const std::byte> page) {
  OnDevice device;
  CacheCopies copies(device, args.cache, args.shape, Extent(args), 2);
  const PinnedBuffer on_host(page.size());
  std::copy(page.begin(), page.end(), on_host.bytes().begin());
  const std::vector<PageToScatter> pages = {{identity, tag, device.In(page), 0, first_row},
                                            {identity, tag, on_host.bytes().data(), 1, first_row}};
  PageScatterBatch batch{device.In(Layers(device, args, copies)), device.In(pages)};
  batch.outcomes = device.Out<ScatterOutcome>(pages.size());
  batch.count = static_cast<int>(pages.size());
  batch.shape = args.shape;
  batch.block_size = args.block_size;
  PB_RETURN_IF_ERROR(device.Finish(LaunchPageScatter(batch, nullptr)));

  std::vector<ScatterOutcome> outcomes(pages.size());
  device.Read(batch.outcomes, absl::MakeSpan(outcomes));
  PB_RETURN_IF_ERROR(copies.ReadBack());
  if (outcomes[0] != outcomes[1]) return absl::InternalError("one of two equal pages was refused");
  if (outcomes[0] == ScatterOutcome::kWritten) return absl::OkStatus();
  return absl::DataLossError("the page does not match its tag");
}

}  // namespace pinboard::kernels::under_test
