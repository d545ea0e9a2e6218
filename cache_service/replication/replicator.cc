// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/replication/replicator.h"

#include <algorithm>
#include <utility>

namespace pinboard::cache_service {

Replicator::Replicator(Surroundings around, const TenantStore& store,
                       const ReplicationOptions& options)
    : around_(std::move(around)),
      store_(store),
      options_(options),
      intake_(store, options, around_.look_again),
      pulls_(
          {.ask =
               [this](PeerNumber peer, std::uint64_t request, const PeerFetch& fetch) {
                 const PeerLink* link = PeerOf(peer).link.get();
                 if (link == nullptr || !link->up()) return false;
                 link->connection()->Send(request, fetch);
                 return true;
               },
           .take =
               [this](PeerNumber peer, GroupId group, const FetchedPage& page,
                      PageIntake::Done done) {
                 const ServiceConnectionPtr from = PeerOf(peer).link->connection();
                 const IncomingPage incoming{group, page.header, page.location, {.source = peer}};
                 intake_.Take(from, incoming,
                              [this, peer, from, slab = page.location.slab,
                               done = std::move(done)](OfferOutcome outcome) {
                                if (from->open()) PeerOf(peer).unpins.push_back(slab);
                                done(outcome);
                              });
               },
           .unpin =
               [this](PeerNumber peer, const FetchedPage& page) {
                 PeerOf(peer).unpins.push_back(page.location.slab);
               },
           .ended = around_.look_again}),
      holds_(store.inventory, options.group_grace, options.orphan_timeout) {
  store_.inventory.FollowLeaving();
}

void Replicator::OnPublished(GroupId group, absl::Span<const PublishedPage> pages) {
  if (options_.replicas <= 1 && !hand_over_.has_value()) return;
  for (const PublishedPage& page : pages) {
    const PageRef ref{page.header.key, page.header.generation};
    if (hand_over_.has_value()) {
      HandOverPage({group, ref});
      continue;
    }
    MakeCopies(group, ref);
  }
}

void Replicator::CountOffer(OfferKind kind, OfferEnd end) {
  ++counts_.offers_total[static_cast<int>(kind)][static_cast<int>(end)];
}

template <typename Message>
void Replicator::TellOfDrop(Message drop) {
  if (peers_.empty()) return;
  const auto shared = std::make_shared<const MissedDrops::Drop::element_type>(std::move(drop));
  for (const auto& peer : peers_) {
    if (peer->session.has_value()) {
      SendDrop(*peer, shared);
    } else if (peer->link != nullptr || peer->incarnation != 0) {
      peer->missed_drops->Add(shared);
    }
  }
}

void Replicator::OnDropped(GroupId group, const std::vector<PageRef>& pages) {
  for (const PageRef& page : pages) intake_.Drop(group, page);
  TellOfDrop(PeerDrop{group.value(), pages});
}

void Replicator::OnSequenceDropped(GroupId group, std::uint64_t sequence) {
  intake_.DropSequence(group, sequence);
  TellOfDrop(PeerDropSequence{group.value(), sequence});
}

bool Replicator::IsElsewhere(GroupId group) const {
  return std::any_of(peers_.begin(), peers_.end(),
                     [group](const auto& peer) { return peer->has_pages_of.contains(group); });
}

void Replicator::Pull(GroupId group, absl::Span<const PageRef> pages, absl::Time deadline) {
  std::vector<Pulls::Wish> wishes;
  wishes.reserve(pages.size());
  std::optional<ExtentId> ordered;
  std::vector<PeerNumber> order;
  for (const PageRef& page : pages) {
    const ExtentId extent = ExtentIdOf(group, page.key);
    if (ordered != extent) {
      ordered = extent;
      order.clear();
      for (const Member* member : PlacementOrder(extent, *view_)) {
        const auto number = numbers_.find(member->name);
        if (number == numbers_.end()) continue;
        if (PeerOf(number->second).has_pages_of.contains(group)) order.push_back(number->second);
      }
    }
    wishes.push_back({page, order});
  }
  pulls_.Start(group, std::move(wishes), deadline);
}

void Replicator::SetClientGroups(std::vector<GroupId> groups) {
  if (groups == client_groups_) return;
  client_groups_ = std::move(groups);
  groups_changed_ = true;
}

void Replicator::Tick(absl::Time now) {
  for (const auto& peer : peers_) {
    if (peer->link != nullptr) {
      peer->link->Tick(now);
    } else {
      LetGoOf(peer->ended, nullptr);
    }
  }
  pulls_.Expire(now);
  holds_.Expire(now);
  LeaveTheLate(now);
  AnnounceGroups();
  HandOverMore();
  MakeMoreCopies();
  SpillMore(now);
  for (const auto& peer : peers_) {
    SendAnswers(*peer);
    SendMissedDrops(*peer);
    peer->offers.Fill(now);
  }
}

absl::Time Replicator::next_tick() const {
  if (hand_over_.has_value() && hand_over_->is_looking()) return absl::InfinitePast();
  if (HasToLook() && HasRoomForCopies()) return absl::InfinitePast();
  absl::Time next = std::min({pulls_.next_deadline(), holds_.next_expiry(), next_look_});
  for (const auto& peer : peers_) {
    if (peer->link != nullptr) next = std::min(next, peer->link->next_tick());
  }
  return next;
}

ReplicationCounts Replicator::counts() const {
  ReplicationCounts counts = counts_;
  for (const auto& peer : peers_) {
    if (peer->link != nullptr) {
      ++(peer->link->up() && peer->session.has_value() ? counts.peers_up : counts.peers_down);
    }
    counts.lost_drops_total += peer->missed_drops->lost();
    counts.offers_waiting += peer->offers.waiting() - peer->offers.waiting(OfferKind::kSpill);
  }
  if (hand_over_.has_value()) counts.drain_pages_left = hand_over_->left() + OffersToHeirs();
  counts.under_replicated_pages = UnderReplicated();
  counts.pulls_waiting = pulls_.waiting();
  counts.pulls_total = pulls_.ends();
  return counts;
}

}  // namespace pinboard::cache_service
