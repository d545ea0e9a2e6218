// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Pages that one other member is to be offered.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "cache_service/inventory/inventory.h"
#include "cache_service/replication/group_holds.h"
#include "cache_service/replication/replication_counts.h"

namespace pinboard::cache_service {

/// A page by name: nothing is held for it while it waits.
struct OfferedName {
  GroupId group;
  PageRef page;
  OfferKind kind = OfferKind::kCopy;
  std::vector<PeerNumber> refused_by;  // where it is handed over
};

///   Add --> waiting --pinned, sent--> offered --answered--> told of, unpinned
///     |        ^                          |
///     |        +-- the connection is lost-+
///     +--> too many wait: told of as an overflow
///
/// A bounded number waits, and of those sent a few pages at a time are pinned; so a member that
/// takes little costs a little. Single-threaded.
class OfferQueue {
 public:
  static constexpr std::size_t kMostWaiting = 65'536;
  static constexpr std::size_t kMostOffered = 128;
  static constexpr std::uint64_t kMostOfferedBytes = std::uint64_t{64} << 20;

  using Ended = std::function<void(const OfferedName&, OfferEnd)>;
  using Send = std::function<void(const Offer&)>;

  /// `inventory` must outlive this. `ended` is told of each page once, but of those that are gone
  /// as their turn comes.
  OfferQueue(Inventory& inventory, Ended ended) : inventory_(inventory), ended_(std::move(ended)) {}

  void Add(const OfferedName& name);
  /// The member is connected, as this client of the inventory.
  void Open(ClientId client, Send send);
  /// What it was offered waits again, first. Its pins are the client's, and end with it.
  void Close();

  /// What waits, which it forgets without a word. Requires it to be closed.
  std::deque<OfferedName> TakeWaiting();

  /// Offers as many as may be.
  void Fill(absl::Time now);
  /// An error: it broke the protocol.
  absl::Status OnTaken(const OfferTaken& taken);

  std::size_t waiting() const { return waiting_.size() + offered_.size(); }
  std::size_t waiting(OfferKind kind) const { return of_kind_[static_cast<int>(kind)]; }
  /// Since when the page that was offered first has not been answered, or InfiniteFuture.
  absl::Time oldest_offer() const { return oldest_; }

 private:
  struct Offered {
    OfferedName name;
    std::uint32_t bytes = 0;
    absl::Time since;
  };

  std::optional<OfferedPage> PinNext(const OfferedName& name);
  void Forget(const OfferedName& name) { --of_kind_[static_cast<int>(name.kind)]; }

  Inventory& inventory_;
  const Ended ended_;
  std::deque<OfferedName> waiting_;
  std::array<std::size_t, kOfferKinds> of_kind_{};       // waiting or offered
  absl::flat_hash_map<std::uint64_t, Offered> offered_;  // by slab id
  std::uint64_t offered_bytes_ = 0;
  absl::Time oldest_ = absl::InfiniteFuture();  // never later than true
  ClientId client_;
  Send send_;  // empty while the member is not connected
};

}  // namespace pinboard::cache_service
