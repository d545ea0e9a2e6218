// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Pages that this member is about to lose go where there is room. A part of Replicator.
#include <algorithm>

#include "base/clock.h"
#include "cache_service/replication/replicator.h"

namespace pinboard::cache_service {
namespace {

// Named and not answered; what leaves meanwhile leaves without having been offered.
constexpr std::size_t kMostSpilled = 128;
// A member that had no room is not offered any more for so long.
constexpr absl::Duration kFullFor = absl::Seconds(1);

}  // namespace

std::optional<PeerNumber> Replicator::HostOf(const OfferedName& name, absl::Time now) const {
  for (const Member* member : PlacementOrder(ExtentIdOf(name.group, name.page.key), places_)) {
    const PeerNumber number = numbers_.at(member->name);
    const Peer& peer = PeerOf(number);
    if (peer.session.has_value() && peer.full_until <= now) return number;
  }
  return std::nullopt;
}

std::size_t Replicator::MayBeSpilled(absl::Time now) const {
  bool has_host = false;
  std::size_t under_way = 0;
  for (const Member& member : places_.members) {
    const Peer& peer = PeerOf(numbers_.at(member.name));
    if (!peer.session.has_value()) continue;
    has_host |= peer.full_until <= now;
    under_way += peer.offers.waiting(OfferKind::kSpill);
  }
  return has_host ? kMostSpilled - std::min(kMostSpilled, under_way) : 0;
}

void Replicator::SpillMore(absl::Time now) {
  if (hand_over_.has_value()) return;
  const std::size_t most = MayBeSpilled(now);
  if (most == 0) return;
  for (const NamedPage& page : store_.inventory.NameLeaving(most)) {
    const OfferedName name{page.group, page.page, OfferKind::kSpill};
    PeerOf(*HostOf(name, now)).offers.Add(name);  // there is one
  }
}

void Replicator::OnSpillEnded(PeerNumber peer, const OfferedName& name, OfferEnd end) {
  if (end != OfferEnd::kNoRoom) return;
  const absl::Time now = SteadyNow();
  PeerOf(peer).full_until = now + kFullFor;
  if (const auto next = HostOf(name, now)) PeerOf(*next).offers.Add(name);
}

}  // namespace pinboard::cache_service
