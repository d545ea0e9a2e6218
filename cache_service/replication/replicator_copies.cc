// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Which members have a page's copies, and copies made anew when members come and go. A part of
// Replicator.
#include <algorithm>
#include <utility>

#include "cache_service/replication/replicator.h"

namespace pinboard::cache_service {
namespace {

// Copies that wait for a member while more are looked for: what is published waits behind few.
constexpr std::size_t kMostWaiting = 64;
// Looked at in one turn: some tens of microseconds.
constexpr std::uint32_t kSlabsPerTurn = 64;

}  // namespace

bool Replicator::IsPresent(const Peer& peer, absl::Time now) const {
  return peer.session.has_value() || now < peer.absent_since + options_.gone_after;
}

void Replicator::ChoosePlaces(absl::Time now) {
  std::vector<Member> chosen;
  for (const Member& member : view_->members) {
    if (member.name == around_.self.member || member.state != MemberState::kJoined) continue;
    const Peer& peer = PeerOf(numbers_.at(member.name));
    if (!IsPresent(peer, now)) continue;
    chosen.push_back(member);
    chosen.back().incarnation = peer.incarnation;
  }
  if (chosen == places_.members) return;
  MembershipView before = std::exchange(places_, {.members = std::move(chosen)});
  placed_.reset();
  for (const auto& peer : peers_) {
    if (peer->session.has_value() || hand_over_.has_value()) continue;
    if (places_.Find(peer->name) == nullptr) peer->offers.TakeWaiting();
  }
  MakeCopiesAnew(std::move(before));
}

std::vector<PeerNumber> Replicator::FirstOf(const ExtentId& extent,
                                            const MembershipView& places) const {
  std::vector<PeerNumber> first;
  for (const Member* member : PlacementOrder(extent, places)) {
    if (first.size() + 1 >= static_cast<std::size_t>(options_.replicas)) break;
    first.push_back(numbers_.at(member->name));
  }
  return first;
}

const std::vector<PeerNumber>& Replicator::PlacesOf(const ExtentId& extent) {
  if (!placed_.has_value() || placed_->first != extent) {
    placed_ = {extent, FirstOf(extent, places_)};
  }
  return placed_->second;
}

bool Replicator::HadItsPlace(PeerNumber place, const ExtentId& extent) {
  if (!look_->before.has_value() || look_->started_again.contains(place)) return false;
  std::optional<Placed>& placed = look_->placed;
  if (!placed.has_value() || placed->first != extent) {
    placed = {extent, FirstOf(extent, *look_->before)};
  }
  return std::find(placed->second.begin(), placed->second.end(), place) != placed->second.end();
}

void Replicator::MakeCopies(GroupId group, const PageRef& page) {
  if (options_.replicas <= 1) return;
  for (const PeerNumber place : PlacesOf(ExtentIdOf(group, page.key))) {
    PeerOf(place).offers.Add({group, page, OfferKind::kCopy});
  }
}

void Replicator::BeginLook() {
  Look look{.pages_left = store_.inventory.counts().published_pages};
  if (look_.has_value()) look.started_again = std::move(look_->started_again);
  look_ = std::move(look);
}

void Replicator::MakeCopiesAnew(MembershipView before) {
  if (options_.replicas <= 1 || hand_over_.has_value()) return;
  const bool was_looking = look_.has_value();
  BeginLook();
  for (const Member& member : before.members) {
    const Member* now = places_.Find(member.name);
    if (now != nullptr && member.incarnation != 0 && member.incarnation != now->incarnation) {
      look_->started_again.insert(numbers_.at(member.name));
    }
  }
  // Where the last look has not ended, pages are placed on what was there before it, or after.
  if (!was_looking) look_->before = std::move(before);
}

bool Replicator::MakeCopiesOf(const NamedPage& page, const PageOrigin& origin) {
  if (look_->pages_left > 0) --look_->pages_left;  // more may have come
  if (origin.spilled) return false;
  const bool is_own = origin.source == 0;
  const bool is_others = !is_own && !look_->started_again.contains(origin.source) &&
                         places_.Find(PeerOf(origin.source).name) != nullptr;
  if (is_others) return false;
  const ExtentId extent = ExtentIdOf(page.group, page.page.key);
  for (const PeerNumber place : PlacesOf(extent)) {
    if (is_own && HadItsPlace(place, extent)) continue;
    PeerOf(place).offers.Add({page.group, page.page, OfferKind::kCopy});
  }
  return true;
}

bool Replicator::HasRoomForCopies() const {
  return std::all_of(places_.members.begin(), places_.members.end(), [this](const Member& member) {
    return PeerOf(numbers_.at(member.name)).offers.waiting(OfferKind::kCopy) < kMostWaiting;
  });
}

void Replicator::MakeMoreCopies() {
  if (!HasToLook() || !HasRoomForCopies()) return;
  if (std::exchange(left_out_, false)) BeginLook();
  const std::optional<SlabAddress> next = store_.inventory.VisitPages(
      look_->next, kSlabsPerTurn, [this](const NamedPage& page, const PageOrigin& origin) {
        return MakeCopiesOf(page, origin);
      });
  if (next.has_value()) {
    look_->next = *next;
  } else {
    look_.reset();
  }
}

std::uint64_t Replicator::UnderReplicated() const {
  if (options_.replicas <= 1) return 0;
  const bool all_are_there =
      std::all_of(places_.members.begin(), places_.members.end(), [this](const Member& member) {
        return PeerOf(numbers_.at(member.name)).session.has_value();
      });
  const bool enough = places_.members.size() + 1 >= static_cast<std::size_t>(options_.replicas);
  if (!all_are_there || !enough || left_out_) return store_.inventory.counts().published_pages;
  std::uint64_t pages = look_.has_value() ? std::max(look_->pages_left, std::uint64_t{1}) : 0;
  for (const auto& peer : peers_) pages += peer->offers.waiting(OfferKind::kCopy);
  return pages;
}

}  // namespace pinboard::cache_service
