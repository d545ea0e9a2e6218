// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/support/memory_page_store.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "base/clock.h"

namespace pinboard::cache_service {

void MemoryPages::FailLeases(absl::Status status) {
  absl::MutexLock lock(&mutex_);
  lease_status_ = std::move(status);
}

void MemoryPages::HoldResults(bool held) {
  absl::MutexLock lock(&mutex_);
  held_ = held;
}

void MemoryPages::SetGone(bool gone) {
  absl::MutexLock lock(&mutex_);
  gone_ = gone;
  if (gone) ForgetAll();
}

bool MemoryPages::Lose(const PageKey& key) {
  absl::MutexLock lock(&mutex_);
  const auto page = catalog_.find(key);
  if (page == catalog_.end()) return false;
  Forget(page);
  return true;
}

void MemoryPages::LoseAll() {
  absl::MutexLock lock(&mutex_);
  ForgetAll();
}

bool MemoryPages::Corrupt(const PageKey& key) {
  absl::MutexLock lock(&mutex_);
  const auto page = catalog_.find(key);
  if (page == catalog_.end()) return false;
  Slab& slab = slabs_.at(page->second.slab);
  slab.memory[page->second.header.bytes / 2 | 3] ^= std::byte{0x40};
  return true;
}

bool MemoryPages::Contains(const PageKey& key) const {
  absl::MutexLock lock(&mutex_);
  return catalog_.contains(key);
}

int MemoryPages::pages() const {
  absl::MutexLock lock(&mutex_);
  return static_cast<int>(catalog_.size());
}

int MemoryPages::leases() const {
  absl::MutexLock lock(&mutex_);
  return leases_;
}

bool MemoryPages::MakeRoom(std::size_t bytes) {
  std::size_t available = capacity_bytes_ - used_bytes_;
  for (const auto& [key, page] : catalog_) {
    const Slab& slab = slabs_.at(page.slab);
    if (slab.pins == 0) available += slab.bytes;
  }
  if (available < bytes) return false;
  while (capacity_bytes_ - used_bytes_ < bytes) {
    auto worst = catalog_.end();
    for (auto page = catalog_.begin(); page != catalog_.end(); ++page) {
      if (slabs_.at(page->second.slab).pins > 0) continue;
      const auto order = [](const Page& p) {
        return std::make_tuple(p.header.mean_information, p.age);
      };
      if (worst == catalog_.end() || order(page->second) < order(worst->second)) worst = page;
    }
    Forget(worst);
  }
  return true;
}

void MemoryPages::Free(std::uint64_t slab) {
  const auto found = slabs_.find(slab);
  used_bytes_ -= found->second.bytes;
  slabs_.erase(found);
}

void MemoryPages::Forget(Catalog::iterator page) {
  const std::uint64_t slab = page->second.slab;
  catalog_.erase(page);
  if (slabs_.at(slab).pins > 0) {
    slabs_.at(slab).forgotten = true;
  } else {
    Free(slab);
  }
}

void MemoryPages::ForgetAll() {
  while (!catalog_.empty()) Forget(catalog_.begin());
}

absl::StatusOr<std::vector<PageLease>> MemoryPageStore::Lease(int count, std::size_t bytes,
                                                              absl::Time) {
  absl::MutexLock lock(&pages_.mutex_);
  if (pages_.gone_) return absl::UnavailableError("the page store is gone");
  if (!pages_.lease_status_.ok()) return pages_.lease_status_;
  if (count < 0 || count > kMostLeasedTogether) {
    return absl::InvalidArgumentError("a lease is of 0 to 65536 slabs");
  }
  if (!pages_.MakeRoom(static_cast<std::size_t>(count) * bytes)) {
    return absl::ResourceExhaustedError("the page store is full of pinned and leased pages");
  }
  std::vector<PageLease> leases;
  leases.reserve(count);
  for (int i = 0; i < count; ++i) {
    const std::uint64_t id = pages_.next_slab_++;
    MemoryPages::Slab& slab = pages_.slabs_[id];
    slab.memory = std::make_unique<std::byte[]>(bytes);
    slab.bytes = bytes;
    pages_.used_bytes_ += bytes;
    ++pages_.leases_;
    leases.emplace_back(absl::MakeSpan(slab.memory.get(), bytes), id, [pages = &pages_, id] {
      absl::MutexLock release_lock(&pages->mutex_);
      --pages->leases_;
      pages->Free(id);
    });
  }
  return leases;
}

void MemoryPageStore::Publish(std::vector<PageLease> leases, absl::Span<const PageHeader> headers) {
  // Leases that are not published end with `leases`, after the lock: their release takes it.
  absl::MutexLock lock(&pages_.mutex_);
  if (pages_.gone_) return;
  for (std::size_t i = 0; i < std::min(leases.size(), headers.size()); ++i) {
    const PageHeader& header = headers[i];
    if (header.bytes > leases[i].memory().size()) continue;
    const auto old = pages_.catalog_.find(header.key);
    if (old != pages_.catalog_.end()) {
      if (old->second.header.generation >= header.generation) continue;
      pages_.Forget(old);
    }
    pages_.catalog_[header.key] = {header, leases[i].slab(), pages_.next_age_++};
    leases[i].Forget();
    --pages_.leases_;
    ++stats_.pages_published;
    stats_.bytes_published += header.bytes;
  }
}

void MemoryPageStore::Fetch(absl::Span<const PageRef> pages, absl::Time deadline) {
  absl::MutexLock lock(&pages_.mutex_);
  for (const PageRef& page : pages) pending_.push_back({page, deadline});
}

bool MemoryPageStore::Ready(const Pending& pending) const {
  return !pages_.held_ || pages_.gone_ || pending.deadline <= SteadyNow();
}

bool MemoryPageStore::AnyReady() const {
  return std::any_of(pending_.begin(), pending_.end(), [this](const Pending& pending) {
    pages_.mutex_.AssertHeld();
    return Ready(pending);
  });
}

FetchResult MemoryPageStore::Resolve(const Pending& pending) {
  FetchResult result{pending.page, {}, absl::NotFoundError("no such page")};
  const auto found = pages_.catalog_.find(pending.page.key);
  if (pages_.gone_) {
    result.pin = absl::UnavailableError("the page store is gone");
  } else if (pages_.held_) {
    result.pin = absl::DeadlineExceededError("the page did not come in time");
  } else if (found != pages_.catalog_.end() &&
             found->second.header.generation == pending.page.generation) {
    const std::uint64_t id = found->second.slab;
    MemoryPages::Slab& slab = pages_.slabs_.at(id);
    ++slab.pins;
    result.header = found->second.header.fetched();
    result.pin = PagePin({slab.memory.get(), result.header.bytes}, [pages = &pages_, id] {
      absl::MutexLock lock(&pages->mutex_);
      MemoryPages::Slab& pinned = pages->slabs_.at(id);
      if (--pinned.pins == 0 && pinned.forgotten) pages->Free(id);
    });
  }
  if (result.pin.ok()) {
    ++stats_.pages_fetched;
    stats_.bytes_fetched += result.header.bytes;
  } else {
    ++stats_.misses;
  }
  return result;
}

std::vector<FetchResult> MemoryPageStore::TakeFetched() {
  absl::MutexLock lock(&pages_.mutex_);
  std::vector<FetchResult> results;
  std::vector<Pending> waiting;
  for (const Pending& pending : pending_) {
    if (Ready(pending)) {
      results.push_back(Resolve(pending));
    } else {
      waiting.push_back(pending);
    }
  }
  pending_ = std::move(waiting);
  return results;
}

bool MemoryPageStore::WaitFetched(absl::Time deadline) {
  absl::MutexLock lock(&pages_.mutex_);
  if (pending_.empty()) return false;
  absl::Time until = deadline;
  for (const Pending& pending : pending_) until = std::min(until, pending.deadline);
  const auto any_ready = [this]()
                             ABSL_EXCLUSIVE_LOCKS_REQUIRED(pages_.mutex_) { return AnyReady(); };
  for (absl::Time now = SteadyNow(); now < until && !AnyReady(); now = SteadyNow()) {
    pages_.mutex_.AwaitWithTimeout(absl::Condition(&any_ready), until - now);
  }
  return AnyReady();
}

void MemoryPageStore::Drop(absl::Span<const PageRef> pages) {
  absl::MutexLock lock(&pages_.mutex_);
  for (const PageRef& page : pages) {
    const auto found = pages_.catalog_.find(page.key);
    if (found == pages_.catalog_.end()) continue;
    if (found->second.header.generation <= page.generation) pages_.Forget(found);
  }
}

void MemoryPageStore::DropSequence(std::uint64_t sequence) {
  absl::MutexLock lock(&pages_.mutex_);
  std::vector<PageKey> keys;
  for (const auto& [key, page] : pages_.catalog_) {
    if (key.sequence == sequence) keys.push_back(key);
  }
  for (const PageKey& key : keys) pages_.Forget(pages_.catalog_.find(key));
}

PageStoreStats MemoryPageStore::stats() const {
  absl::MutexLock lock(&pages_.mutex_);
  return stats_;
}

}  // namespace pinboard::cache_service
