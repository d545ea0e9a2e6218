// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Pages whose bytes follow from their name, so that every byte that comes back can be checked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "cache_service/page_store.h"

namespace pinboard::cache_service {

inline constexpr std::size_t kTestPageBytes = 4096;
/// Long enough never to be met by a test that passes.
inline absl::Time Soon() { return absl::Now() + absl::Seconds(30); }

inline PageRef TestPage(std::uint32_t page, std::uint32_t generation = 1,
                        std::uint64_t sequence = 7) {
  return {{.sequence = sequence, .page = page, .layer = 3, .shard = 1}, generation};
}

inline std::byte TestByte(const PageRef& page, std::size_t i) {
  const std::uint64_t name = page.key.sequence * 1000003 + std::uint64_t{page.key.page} * 8191 +
                             std::uint64_t{page.key.layer} * 131 +
                             std::uint64_t{page.key.shard} * 17 + page.generation;
  return static_cast<std::byte>((name + i) * 0x9e3779b97f4a7c15 >> 56);
}

inline void FillTestPage(const PageRef& page, absl::Span<std::byte> memory) {
  for (std::size_t i = 0; i < memory.size(); ++i) memory[i] = TestByte(page, i);
}

inline bool HasTestBytes(const PageRef& page, absl::Span<const std::byte> bytes) {
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (bytes[i] != TestByte(page, i)) return false;
  }
  return true;
}

inline PageHeader TestHeader(const PageRef& page, std::int32_t mean_information = 0,
                             std::size_t bytes = kTestPageBytes) {
  PageHeader header{.key = page.key,
                    .generation = page.generation,
                    .bytes = static_cast<std::uint32_t>(bytes),
                    .tag = 0x1234567890abcdefU ^ page.key.page,
                    .mean_information = mean_information};
  for (int row = 0; row < kPageRows; ++row) {
    header.information[row] = mean_information - row;
    header.positions[row] = static_cast<std::int32_t>(page.key.page) * 100 + row;
  }
  return header;
}

/// Leases, fills and publishes one page.
inline absl::Status PublishTestPage(PageStore& store, const PageRef& page,
                                    std::int32_t mean_information = 0,
                                    std::size_t bytes = kTestPageBytes) {
  absl::StatusOr<std::vector<PageLease>> leases = store.Lease(1, bytes, Soon());
  if (!leases.ok()) return leases.status();
  FillTestPage(page, leases->front().memory());
  store.Publish(*std::move(leases), {TestHeader(page, mean_information, bytes)});
  return absl::OkStatus();
}

/// All results of what was fetched before, in the order in which they resolved.
inline std::vector<FetchResult> CollectFetched(PageStore& store, absl::Time deadline = Soon()) {
  std::vector<FetchResult> results;
  while (store.WaitFetched(deadline)) {
    for (FetchResult& result : store.TakeFetched()) results.push_back(std::move(result));
  }
  return results;
}

/// Fetches one page and waits for it.
inline FetchResult FetchTestPage(PageStore& store, const PageRef& page) {
  store.Fetch({page}, Soon());
  std::vector<FetchResult> results = CollectFetched(store);
  if (results.size() != 1) return {page, {}, absl::InternalError("not exactly one result")};
  return std::move(results.front());
}

}  // namespace pinboard::cache_service
