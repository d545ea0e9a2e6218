// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The end of this member: its pages go to others. A part of Replicator.
#include <algorithm>

#include "absl/algorithm/container.h"
#include "base/clock.h"
#include "cache_service/replication/replicator.h"

namespace pinboard::cache_service {
namespace {

// Named and not answered, of which OfferQueue pins fewer.
constexpr std::size_t kMostHandedOver = 1024;
// Looked at in one turn: a millisecond or two with small pages.
constexpr std::uint32_t kChunksPerTurn = 32;

}  // namespace

std::optional<PeerNumber> Replicator::HeirOf(const OfferedName& name) const {
  std::optional<PeerNumber> awaited;
  for (const Member* member : PlacementOrder(ExtentIdOf(name.group, name.page.key), places_)) {
    const PeerNumber number = numbers_.at(member->name);
    if (absl::c_linear_search(name.refused_by, number)) continue;
    if (PeerOf(number).session.has_value()) return number;
    if (!awaited.has_value() && IsHeir(PeerOf(number))) awaited = number;
  }
  return awaited;
}

bool Replicator::IsHeir(const Peer& peer) const {
  return peer.session.has_value() || SteadyNow() < peer.absent_since + options_.answer_timeout;
}

bool Replicator::HasHeirs() const {
  return std::any_of(places_.members.begin(), places_.members.end(), [this](const Member& member) {
    return IsHeir(PeerOf(numbers_.at(member.name)));
  });
}

std::size_t Replicator::OffersToHeirs() const {
  std::size_t waiting = 0;
  for (const auto& peer : peers_) {
    if (IsHeir(*peer)) waiting += peer->offers.waiting();
  }
  return waiting;
}

void Replicator::HandOverPage(OfferedName name) {
  name.kind = OfferKind::kHandOver;
  const std::optional<PeerNumber> heir = HeirOf(name);
  if (!heir.has_value()) return CountOffer(name.kind, OfferEnd::kFailed);
  PeerOf(*heir).offers.Add(name);
}

void Replicator::OnOfferEnded(PeerNumber peer, OfferedName name, OfferEnd end) {
  CountOffer(name.kind, end);
  if (hand_over_.has_value()) {
    name.kind = OfferKind::kHandOver;  // what was under way before was its offer too
  } else if (name.kind == OfferKind::kCopy && end == OfferEnd::kOverflow) {
    left_out_ = true;
  }
  if (name.kind == OfferKind::kSpill) return OnSpillEnded(peer, name, end);
  if (name.kind != OfferKind::kHandOver) return;
  if (end != OfferEnd::kNoRoom && end != OfferEnd::kFailed) return;
  name.refused_by.push_back(peer);
  if (const auto next = HeirOf(name)) PeerOf(*next).offers.Add(name);
}

void Replicator::HandOverMore() {
  if (!hand_over_.has_value()) return;
  for (const auto& peer : peers_) {
    if (IsHeir(*peer)) continue;
    for (const OfferedName& name : peer->offers.TakeWaiting()) HandOverPage(name);
  }
  hand_over_->Look(kChunksPerTurn);
  while (HasHeirs() && OffersToHeirs() < kMostHandedOver) {
    const std::optional<NamedPage> next = hand_over_->Next();
    if (!next.has_value()) return;
    HandOverPage({.group = next->group, .page = next->page});
  }
}

bool Replicator::IsDrained() const {
  if (!hand_over_.has_value() || !HasHeirs()) return true;
  return hand_over_->is_done() && OffersToHeirs() == 0;
}

}  // namespace pinboard::cache_service
