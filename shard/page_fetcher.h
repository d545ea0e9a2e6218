// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Pages on their way back: asked for, arrived and verified, or missed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/inlined_vector.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "cache_service/page_store.h"
#include "shard/operations/page_intake.h"

namespace pinboard {

/// Who wants a page: one layer's ring of one sequence.
struct FetchTicket {
  std::uint64_t sequence = 0;
  int layer = 0;
  std::uint32_t page = 0;
};

/// A verified copy of a page. The bytes are this rank's own, in the memory of its operations, so
/// neither the service nor its death can change them between the agreement of the ranks and the
/// scatter.
struct FetchedPage {
  std::uint64_t tag = 0;
  std::uint32_t size = 0;                  // bytes
  std::shared_ptr<const std::byte> bytes;  // [size]; null: no page
};

/// Tickets of several sequences may ask for the same page: it is fetched once. Thread-compatible.
class PageFetcher {
 public:
  enum class State : std::uint8_t { kPending, kReady, kMissed };
  /// Why pages did not come: ShardStats.
  struct Failures {
    std::uint64_t absent = 0, unavailable = 0, late = 0, corrupt = 0, unplaced = 0;
  };

  /// `store` may be null: nothing is ever started.
  PageFetcher(cache_service::PageStore* store, std::unique_ptr<PageIntake> intake)
      : store_(store), intake_(std::move(intake)) {}

  /// Opens a step, in which at most `pages` are to be asked for.
  void BeginStep(int pages) { room_ = pages; }
  /// How many more.
  int room() const { return room_; }

  /// Starts fetching, one message. `wanted_at` is given back by Take.
  struct Request {
    FetchTicket ticket;
    cache_service::PageRef ref;
    std::uint64_t wanted_at = 0;
  };
  void Start(absl::Span<const Request> requests, absl::Time deadline);

  /// Whether anything is under way.
  bool is_waiting() const { return !under_way_.empty(); }
  /// Collects what has arrived and what has been copied; verifies each page's identity and tag.
  /// Never blocks. An error is the device's.
  absl::Status Poll();
  /// Polls until nothing is pending or the deadline; what is pending then is a miss. True if it
  /// waited.
  absl::StatusOr<bool> Wait(absl::Time deadline);

  /// Of one ring's pages, in their order; kMissed for one that was never started.
  using States = absl::InlinedVector<State, 32>;
  States StatesOf(std::uint64_t sequence, int layer, absl::Span<const std::uint32_t> pages) const;

  /// What became of a ticket, and its end. No page unless it is ready; also for an unknown ticket.
  struct Taken {
    FetchedPage page;
    std::uint64_t wanted_at = 0;
  };
  Taken Take(const FetchTicket& ticket);
  /// Forgets a sequence's tickets; late results are ignored.
  void Forget(std::uint64_t sequence);

  const Failures& failures() const { return failures_; }

 private:
  struct Entry {
    std::uint32_t page = 0;
    std::uint32_t generation = 0;  // of what was asked for: an id may have a second life
    State state = State::kPending;
    std::uint64_t wanted_at = 0;
    FetchedPage fetched;
  };
  /// No more than the ring has slots, in no order: few, so that a step that goes through all rings
  /// finds them side by side.
  using Ring = absl::InlinedVector<Entry, 4>;
  using RefKey = std::pair<PageKey, std::uint32_t>;
  /// A fetch under way.
  struct Fetch {
    absl::InlinedVector<FetchTicket, 1> tickets;
    FetchedPage arrived;  // being copied: without its bytes
  };

  /// Null where nothing was ever started for it.
  const Ring* FindRing(std::uint64_t sequence, int layer) const;
  /// A fetch, and a ring that wants it, will be looked at soon.
  void Expect(const RefKey& ref, std::uint64_t sequence, int layer) const;
  /// Null where it was never started, or has been taken.
  Entry* Find(const FetchTicket& ticket);
  void Settle(const RefKey& ref, std::shared_ptr<const std::byte> bytes);
  void SettleCopies(absl::Span<PageIntake::Copy> copies);
  void CountFailure(const absl::Status& why);
  /// Those for which there is no memory here are misses.
  absl::Status TakeIn(std::vector<PageIntake::Arrival> arrivals);

  cache_service::PageStore* store_;
  std::unique_ptr<PageIntake> intake_;
  int room_ = 0;
  Failures failures_;
  absl::flat_hash_map<std::uint64_t, std::vector<Ring>> rings_;  // [layers] of a sequence
  absl::flat_hash_map<RefKey, Fetch> under_way_;
};

}  // namespace pinboard
