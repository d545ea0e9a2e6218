// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Where evicted-but-borderline pages live: the interface a rank sees of the cache service.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/page.h"

namespace pinboard::cache_service {

/// What comes with a fetched page besides its bytes.
struct FetchedHeader {
  std::uint64_t tag = 0;
  std::uint32_t bytes = 0;
  std::int32_t mean_information = 0;
  friend bool operator==(const FetchedHeader&, const FetchedHeader&) = default;
};

/// What the service knows of a page. The bytes are opaque to it.
struct PageHeader {
  PageKey key;
  std::uint32_t generation = 0;
  std::uint32_t bytes = 0;
  std::uint64_t tag = 0;              // computed by the gather, checked by the scatter
  std::int32_t mean_information = 0;  // fixed point; the lowest leaves first
  std::array<std::int32_t, kPageRows> information{};  // E of each row travels with the page
  std::array<std::int32_t, kPageRows> positions{};

  FetchedHeader fetched() const { return {tag, bytes, mean_information}; }
};

/// To whom leases and pins are given back, by numbers that it gave them. Thread-safe.
class Releaser {
 public:
  virtual void Release(std::uint64_t number) = 0;
  /// It will not be given back.
  virtual void Forget(std::uint64_t /*number*/) {}

 protected:
  ~Releaser() = default;
};

/// Something that is given back when this ends. Move-only.
class Holding {
 public:
  Holding() = default;
  /// `releaser` must outlive this.
  Holding(Releaser& releaser, std::uint64_t number) : releaser_(&releaser), number_(number) {}
  /// Calls `release`, which may be empty.
  explicit Holding(std::function<void()> release) {
    if (release) releaser_ = new Function(std::move(release));
  }
  Holding(Holding&& other) noexcept
      : releaser_(std::exchange(other.releaser_, nullptr)), number_(other.number_) {}
  Holding& operator=(Holding&& other) noexcept {
    if (this != &other) {
      Release();
      releaser_ = std::exchange(other.releaser_, nullptr);
      number_ = other.number_;
    }
    return *this;
  }
  ~Holding() { Release(); }

  /// Nothing is left to give back.
  void Forget() {
    if (releaser_ != nullptr) std::exchange(releaser_, nullptr)->Forget(number_);
  }

 private:
  class Function final : public Releaser {
   public:
    explicit Function(std::function<void()> release) : release_(std::move(release)) {}
    void Release(std::uint64_t number) override {
      release_();
      Forget(number);
    }
    void Forget(std::uint64_t /*number*/) override { delete this; }

   private:
    const std::function<void()> release_;
  };

  void Release() {
    if (releaser_ != nullptr) std::exchange(releaser_, nullptr)->Release(number_);
  }

  Releaser* releaser_ = nullptr;
  std::uint64_t number_ = 0;
};

/// A slab of service memory leased for one page: write memory(), then Publish. Move-only; dropping
/// it unpublished gives the slab back. Must not outlive its store.
class PageLease {
 public:
  PageLease() = default;
  PageLease(absl::Span<std::byte> memory, std::uint64_t slab, Holding holding)
      : memory_(memory), slab_(slab), holding_(std::move(holding)) {}
  PageLease(absl::Span<std::byte> memory, std::uint64_t slab, std::function<void()> release)
      : PageLease(memory, slab, Holding(std::move(release))) {}
  PageLease(PageLease&& other) noexcept
      : memory_(std::exchange(other.memory_, {})),
        slab_(other.slab_),
        holding_(std::move(other.holding_)) {}
  PageLease& operator=(PageLease&& other) noexcept {
    holding_ = std::move(other.holding_);
    slab_ = other.slab_;
    if (this != &other) memory_ = std::exchange(other.memory_, {});
    return *this;
  }
  ~PageLease() = default;

  /// Host memory: the service's own, mapped here, or a staging buffer where the transport cannot
  /// map.
  absl::Span<std::byte> memory() const { return memory_; }
  std::uint64_t slab() const { return slab_; }
  /// The store calls this when the page has been published: nothing is left to give back.
  void Forget() { holding_.Forget(); }

 private:
  absl::Span<std::byte> memory_;
  std::uint64_t slab_ = 0;
  Holding holding_;
};

/// A page held for reading: its bytes do not change while this lives (the pin). Move-only.
class PagePin {
 public:
  PagePin() = default;
  PagePin(absl::Span<const std::byte> bytes, Holding holding)
      : bytes_(bytes), holding_(std::move(holding)) {}
  PagePin(absl::Span<const std::byte> bytes, std::function<void()> release)
      : PagePin(bytes, Holding(std::move(release))) {}
  PagePin(PagePin&& other) noexcept
      : bytes_(std::exchange(other.bytes_, {})), holding_(std::move(other.holding_)) {}
  PagePin& operator=(PagePin&& other) noexcept {
    holding_ = std::move(other.holding_);
    if (this != &other) bytes_ = std::exchange(other.bytes_, {});
    return *this;
  }
  ~PagePin() = default;

  absl::Span<const std::byte> bytes() const { return bytes_; }

 private:
  absl::Span<const std::byte> bytes_;
  Holding holding_;
};

/// Which page, and which of its lives.
struct PageRef {
  PageKey key;
  std::uint32_t generation = 0;
  friend bool operator==(const PageRef&, const PageRef&) = default;
};

/// One resolved fetch. A miss is an ordinary outcome: NotFound (evicted, another generation),
/// Unavailable (service gone), DeadlineExceeded.
struct FetchResult {
  FetchResult() = default;
  FetchResult(const PageRef& ref, const FetchedHeader& published,
              absl::StatusOr<PagePin> outcome = absl::StatusOr<PagePin>())
      : page(ref), header(published), pin(std::move(outcome)) {}

  PageRef page;
  FetchedHeader header;  // as published; valid where pin is ok
  absl::StatusOr<PagePin> pin;
};

/// Counters since creation, monotone.
struct PageStoreStats {
  std::uint64_t pages_published = 0;
  std::uint64_t pages_fetched = 0;
  std::uint64_t bytes_published = 0;
  std::uint64_t bytes_fetched = 0;
  std::uint64_t misses = 0;
  std::uint64_t connections = 0;  // made; where there is a service
  /// Times that a service said what the protocol does not allow, or answered with another page than
  /// the one asked for: the connection was ended, and what was asked for over it is Unavailable.
  std::uint64_t protocol_errors = 0;
};

/// Slabs of one lease.
inline constexpr int kMostLeasedTogether = 65536;

/// Losing a page, or the whole service, is a miss: never wrong bytes, never an error of the request
/// and never a hang. Thread-compatible for its owner (the rank's thread); implementations may work
/// on a thread of their own. Nothing but Lease blocks, and that only until its deadline.
class PageStore {
 public:
  virtual ~PageStore() = default;

  /// `count` slabs of `bytes` each, or an error and none. InvalidArgument: a count below 0 or above
  /// kMostLeasedTogether; ResourceExhausted: full of better pages; Unavailable: the service is gone
  /// (and every later call says so at once until it is back).
  virtual absl::StatusOr<std::vector<PageLease>> Lease(int count, std::size_t bytes,
                                                       absl::Time deadline) = 0;

  /// Makes pages visible, together. Leases and headers are parallel. Never blocks; what cannot
  /// be published becomes a later miss.
  virtual void Publish(std::vector<PageLease> leases, absl::Span<const PageHeader> headers) = 0;

  /// Starts fetching: one message, answered in parts of 128 pages. Results arrive through
  /// TakeFetched in any order, each exactly once, at the latest by `deadline`.
  virtual void Fetch(absl::Span<const PageRef> pages, absl::Time deadline) = 0;
  virtual std::vector<FetchResult> TakeFetched() = 0;
  /// Sleeps until a result can be taken or the deadline; false on the deadline, and at once where
  /// no fetch is under way.
  virtual bool WaitFetched(absl::Time deadline) = 0;

  /// Forgets pages, or everything of a sequence (all layers and shards).
  virtual void Drop(absl::Span<const PageRef> pages) = 0;
  virtual void DropSequence(std::uint64_t sequence) = 0;

  virtual PageStoreStats stats() const = 0;
};

}  // namespace pinboard::cache_service
