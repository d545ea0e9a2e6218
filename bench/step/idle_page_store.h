// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A page store whose work does not count: every page is there, and comes in the step after it was
// asked for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "cache_service/page_store.h"

namespace pinboard::bench {

/// Pages have no bytes of their own. Thread-compatible.
class IdlePageStore final : public cache_service::PageStore {
 public:
  explicit IdlePageStore(std::size_t page_bytes) : page_(page_bytes) {}

  /// What was asked for so far has come.
  void Deliver();

  absl::StatusOr<std::vector<cache_service::PageLease>> Lease(int count, std::size_t bytes,
                                                              absl::Time deadline) override;
  void Publish(std::vector<cache_service::PageLease> leases,
               absl::Span<const cache_service::PageHeader> headers) override;
  void Fetch(absl::Span<const cache_service::PageRef> pages, absl::Time deadline) override;
  std::vector<cache_service::FetchResult> TakeFetched() override;
  bool WaitFetched(absl::Time) override { return !come_.empty(); }
  void Drop(absl::Span<const cache_service::PageRef>) override {}
  void DropSequence(std::uint64_t) override {}
  cache_service::PageStoreStats stats() const override { return {}; }

 private:
  std::vector<std::byte> page_;
  std::vector<cache_service::PageRef> asked_;
  std::vector<cache_service::FetchResult> come_;
};

}  // namespace pinboard::bench
