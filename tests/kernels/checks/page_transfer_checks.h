// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What every implementation of PageGather and PageScatter must do.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "kernels/page_transfer/page_transfer.h"
#include "tests/kernels/paged_cache.h"

namespace pinboard::kernels::checks {

inline PageCopyArgs CopyArgs(const PagedCache& cache) {
  return {cache.view(), cache.shape(), cache.block_size(), cache.block_table()};
}

inline std::vector<std::int32_t> RandomPageRows(SeededRandom& random, int rows) {
  std::vector<std::int32_t> all(static_cast<std::size_t>(rows));
  std::iota(all.begin(), all.end(), 0);
  std::shuffle(all.begin(), all.end(), random.engine());
  all.resize(kPageRows);
  return all;
}

template <typename GatherFn>
std::uint64_t Gather(GatherFn gather, const PagedCache& cache,
                     const std::vector<std::int32_t>& rows, const PageIdentity& identity,
                     std::vector<std::byte>& page) {
  page.resize(PageBytes(cache.shape()));
  const auto tag = gather(CopyArgs(cache), rows, identity, absl::MakeSpan(page));
  EXPECT_TRUE(tag.ok()) << tag.status();
  return tag.ok() ? *tag : 0;
}

/// Rows from anywhere, in any order, arrive unchanged in consecutive rows of the same cache.
template <typename GatherFn, typename ScatterFn>
void ExpectRoundTrip(GatherFn gather, ScatterFn scatter, PagedCache& cache, int rows,
                     SeededRandom& random) {
  const PageIdentity identity{{99, 7, 3, 1}, 5};
  const std::vector<std::int32_t> sources = RandomPageRows(random, rows);
  std::vector<std::byte> expected;
  for (const std::int32_t row : sources) {
    const auto bytes = cache.Row(row);
    expected.insert(expected.end(), bytes.begin(), bytes.end());
  }
  std::vector<std::byte> page;
  const std::uint64_t tag = Gather(gather, cache, sources, identity, page);
  ASSERT_EQ(page, expected);
  ASSERT_EQ(tag, PageTag(expected, identity));

  const int first_row = random.Int(0, rows - kPageRows);
  const absl::Status status = scatter(CopyArgs(cache), first_row, identity, tag, page);
  ASSERT_TRUE(status.ok()) << status;
  std::vector<std::byte> arrived;
  for (int i = 0; i < kPageRows; ++i) {
    const auto bytes = cache.Row(first_row + i);
    arrived.insert(arrived.end(), bytes.begin(), bytes.end());
  }
  ASSERT_EQ(arrived, expected);
}

template <typename ScatterFn>
void ExpectRefused(ScatterFn scatter, const PagedCache& cache, const PageIdentity& identity,
                   std::uint64_t tag, const std::vector<std::byte>& page) {
  const std::vector<std::byte> before = cache.bytes();
  EXPECT_EQ(scatter(CopyArgs(cache), 0, identity, tag, page).code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(cache.bytes(), before) << "something was written";
}

}  // namespace pinboard::kernels::checks
