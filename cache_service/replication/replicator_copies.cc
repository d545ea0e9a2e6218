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
  if (!placed_.has_value() || placed_->first != extent)
    placed_ = {extent, FirstOf(extent, places_)};
  return placed_->second;
}

bool Replicator::HadItsPlace(PeerNumber place, const ExtentId& extent) {
  if (!before_.has_value() || started_again_.contains(place)) return false;
  if (!placed_before_.has_value() || placed_before_->first != extent) {
    placed_before_ = {extent, FirstOf(extent, *before_)};
  }
  const std::vector<PeerNumber>& had = placed_before_->second;
  return std::find(had.begin(), had.end(), place) != had.end();
}

void Replicator::MakeCopies(GroupId group, const PageRef& page) {
  if (options_.replicas <= 1) return;
  for (const PeerNumber place : PlacesOf(ExtentIdOf(group, page.key))) {
    PeerOf(place).offers.Add({group, page, OfferKind::kCopy});
  }
}

void Replicator::MakeCopiesAnew(MembershipView before) {
  if (options_.replicas <= 1 || hand_over_.has_value()) return;
  for (const Member& member : before.members) {
    const Member* now = places_.Find(member.name);
    if (now != nullptr && member.incarnation != 0 && member.incarnation != now->incarnation) {
      started_again_.insert(numbers_.at(member.name));
    }
  }
  before_.reset();
  placed_before_.reset();
  if (!unlooked_.has_value()) before_ = std::move(before);  // else some pages are placed by others
  unlooked_ = SlabAddress{};
  unlooked_pages_ = store_.inventory.counts().published_pages;
}

bool Replicator::MakeCopiesOf(const NamedPage& page, const PageOrigin& origin) {
  if (unlooked_pages_ > 0) --unlooked_pages_;
  if (origin.spilled) return false;
  const bool is_own = origin.source == 0;
  const bool is_others = !is_own && !started_again_.contains(origin.source) &&
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
  if (!unlooked_.has_value() || !HasRoomForCopies()) return;
  unlooked_ = store_.inventory.VisitPages(*unlooked_, kSlabsPerTurn,
                                          [this](const NamedPage& page, const PageOrigin& origin) {
                                            return MakeCopiesOf(page, origin);
                                          });
  if (unlooked_.has_value()) return;
  unlooked_pages_ = 0;
  before_.reset();
  placed_before_.reset();
  started_again_.clear();
}

std::uint64_t Replicator::UnderReplicated() const {
  if (options_.replicas <= 1) return 0;
  const bool all_are_there =
      std::all_of(places_.members.begin(), places_.members.end(), [this](const Member& member) {
        return PeerOf(numbers_.at(member.name)).session.has_value();
      });
  const bool enough = places_.members.size() + 1 >= static_cast<std::size_t>(options_.replicas);
  if (!all_are_there || !enough) return store_.inventory.counts().published_pages;
  std::uint64_t pages = unlooked_pages_;
  for (const auto& peer : peers_) pages += peer->offers.waiting(OfferKind::kCopy);
  return pages;
}

}  // namespace pinboard::cache_service
