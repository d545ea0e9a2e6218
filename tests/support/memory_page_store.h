// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Test support: a PageStore inside the process, without transport, that can be made to fail.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "cache_service/page_store.h"

namespace pinboard::cache_service {

/// What the stores of one group share, and the knobs with which a test makes them fail: in the
/// place of the service process. Thread-safe. Must outlive its stores.
class MemoryPages {
 public:
  /// `capacity_bytes` bounds leased and published bytes together; when full, the unpinned page of
  /// the lowest mean information leaves first (ties: the older).
  explicit MemoryPages(std::size_t capacity_bytes = std::numeric_limits<std::size_t>::max())
      : capacity_bytes_(capacity_bytes) {}
  MemoryPages(const MemoryPages&) = delete;
  MemoryPages& operator=(const MemoryPages&) = delete;

  /// Leases end with `status` until it is set back to Ok.
  void FailLeases(absl::Status status);
  /// While held, fetches resolve only by their deadline (or when the service is gone); they look
  /// their page up when released, not when asked.
  void HoldResults(bool held);
  /// Gone: every page is lost, and every call says Unavailable until it is back.
  void SetGone(bool gone);
  /// Forgets one page, or all; false where there was none.
  bool Lose(const PageKey& key);
  void LoseAll();
  /// Flips one bit in the middle of a page's bytes, of the exponent of a bf16 or f32 value; false
  /// where there is no such page.
  bool Corrupt(const PageKey& key);

  bool Contains(const PageKey& key) const;
  int pages() const;
  /// Leased and not yet published or given back.
  int leases() const;

 private:
  friend class MemoryPageStore;
  struct Slab {
    std::unique_ptr<std::byte[]> memory;
    std::size_t bytes = 0;
    int pins = 0;
    bool forgotten = false;  // not in the catalog: freed with the last pin
  };
  struct Page {
    PageHeader header;
    std::uint64_t slab = 0;
    std::uint64_t age = 0;
  };
  using Catalog = absl::flat_hash_map<PageKey, Page>;

  bool MakeRoom(std::size_t bytes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Free(std::uint64_t slab) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Forget(Catalog::iterator page) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ForgetAll() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  mutable absl::Mutex mutex_;
  const std::size_t capacity_bytes_;
  std::size_t used_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  std::uint64_t next_slab_ ABSL_GUARDED_BY(mutex_) = 1;
  std::uint64_t next_age_ ABSL_GUARDED_BY(mutex_) = 0;
  int leases_ ABSL_GUARDED_BY(mutex_) = 0;
  bool held_ ABSL_GUARDED_BY(mutex_) = false;
  bool gone_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status lease_status_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<std::uint64_t, Slab> slabs_ ABSL_GUARDED_BY(mutex_);
  Catalog catalog_ ABSL_GUARDED_BY(mutex_);
};

/// One rank's view of MemoryPages. Leases and pins must not outlive it.
class MemoryPageStore final : public PageStore {
 public:
  explicit MemoryPageStore(MemoryPages& pages) : pages_(pages) {}

  absl::StatusOr<std::vector<PageLease>> Lease(int count, std::size_t bytes,
                                               absl::Time deadline) override;
  void Publish(std::vector<PageLease> leases, absl::Span<const PageHeader> headers) override;
  void Fetch(absl::Span<const PageRef> pages, absl::Time deadline) override;
  std::vector<FetchResult> TakeFetched() override;
  bool WaitFetched(absl::Time deadline) override;
  void Drop(absl::Span<const PageRef> pages) override;
  void DropSequence(std::uint64_t sequence) override;
  PageStoreStats stats() const override;

 private:
  struct Pending {
    PageRef page;
    absl::Time deadline;
  };

  bool Ready(const Pending& pending) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(pages_.mutex_);
  bool AnyReady() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(pages_.mutex_);
  FetchResult Resolve(const Pending& pending) ABSL_EXCLUSIVE_LOCKS_REQUIRED(pages_.mutex_);

  MemoryPages& pages_;
  std::vector<Pending> pending_ ABSL_GUARDED_BY(pages_.mutex_);
  PageStoreStats stats_ ABSL_GUARDED_BY(pages_.mutex_);
};

}  // namespace pinboard::cache_service
