// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Who the other members are, and what they say: the half of Replicator that deals with connections.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/log.h"
#include "cache_service/protocol/send_message.h"
#include "cache_service/replication/replicator.h"

namespace pinboard::cache_service {
namespace {

using transport::PeerId;

// Messages under way to one member: one that takes none in is not there.
constexpr std::size_t kMostSends = 4096;
constexpr absl::Duration kLookInterval = absl::Milliseconds(100);

}  // namespace

PeerNumber Replicator::NumberOf(const std::string& name) {
  const auto [number, is_new] = numbers_.try_emplace(name, static_cast<PeerNumber>(LastPeer() + 1));
  if (is_new) {
    peers_.push_back(std::make_unique<Peer>(
        store_.inventory, [this, number = number->second](const OfferedName& offer, OfferEnd end) {
          OnOfferEnded(number, offer, end);
        }));
    peers_.back()->name = name;
    peers_.back()->absent_since = SteadyNow();
    next_look_ = absl::InfinitePast();
  }
  return number->second;
}

void Replicator::SetView(MembershipViewPtr view, absl::Time now) {
  view_ = std::move(view);
  for (const Member& member : view_->members) {
    if (member.name == around_.self.member) continue;
    const PeerNumber number = NumberOf(member.name);
    Peer& peer = PeerOf(number);
    if (peer.link != nullptr && peer.link->address() == member.address) continue;
    if (peer.link == nullptr) peer.absent_since = now;
    OnLinkDown(number);
    peer.link = std::make_unique<PeerLink>(around_.fabric, around_.router, peer.ended,
                                           member.address, around_.self, around_.keys,
                                           options_.answer_timeout, HandlersOf(number));
  }
  for (PeerNumber number = 1; number <= LastPeer(); ++number) {
    Peer& peer = PeerOf(number);
    if (view_->Find(peer.name) != nullptr) continue;
    if (std::exchange(peer.link, nullptr) != nullptr) OnLinkDown(number);
  }
  ChoosePlaces(now);
}

PeerLink::Handlers Replicator::HandlersOf(PeerNumber number) {
  return {.up = [] {},
          .down = [this, number] { OnLinkDown(number); },
          .groups = [this, number](const PeerGroups& groups) { OnGroups(number, groups); },
          .offer = [this, number](const Offer& offer) { OnOffer(number, offer); },
          .drop =
              [this](const PeerDrop& drop) {
                for (const PageRef& page : drop.pages) {
                  intake_.Drop(GroupId(drop.group), page);
                  store_.inventory.Drop(GroupId(drop.group), page);
                }
              },
          .drop_sequence =
              [this](const PeerDropSequence& drop) {
                intake_.DropSequence(GroupId(drop.group), drop.sequence);
                store_.inventory.DropSequence(GroupId(drop.group), drop.sequence);
              },
          .fetched =
              [this, number](std::uint64_t request, const std::vector<FetchedPage>& pages) {
                return pulls_.OnFetched(number, request, pages);
              },
          .broken = [this] { ++counts_.peer_protocol_errors_total; }};
}

void Replicator::OnLinkDown(PeerNumber number) {
  Peer& peer = PeerOf(number);
  peer.has_pages_of.clear();
  peer.answers.clear();
  peer.unpins.clear();
  holds_.PeerLost(number, SteadyNow());
  pulls_.PeerLost(number);
}

void Replicator::OnGroups(PeerNumber number, const PeerGroups& announced) {
  Peer& peer = PeerOf(number);
  peer.has_pages_of.clear();
  std::vector<GroupId> with_clients;
  for (const PeerGroup& group : announced.groups) {
    if ((group.has & kGroupHasPages) != 0) peer.has_pages_of.insert(GroupId(group.group));
    if ((group.has & kGroupHasClients) != 0) with_clients.emplace_back(group.group);
  }
  holds_.Announce(number, with_clients, SteadyNow());
}

void Replicator::OnOffer(PeerNumber number, const Offer& offer) {
  const ServiceConnectionPtr from = PeerOf(number).link->connection();
  for (const OfferedPage& page : offer.pages) {
    if (hand_over_.has_value()) {
      PeerOf(number).answers.push_back({page.location.slab, OfferOutcome::kNoRoom});
      continue;
    }
    holds_.Offered(GroupId(page.group), SteadyNow());
    // Who ends leaves its pages to this member.
    const PageOrigin origin{.source = offer.kind == OfferKind::kHandOver ? PeerNumber{0} : number,
                            .spilled = offer.kind == OfferKind::kSpill};
    const IncomingPage incoming{GroupId(page.group), page.header, page.location, origin};
    intake_.Take(
        from, incoming,
        [this, number, from, kind = offer.kind, slab = page.location.slab, group = incoming.group,
         ref = PageRef{page.header.key, page.header.generation}](OfferOutcome outcome) {
          if (from->open()) PeerOf(number).answers.push_back({slab, outcome});
          const bool is_own = kind == OfferKind::kHandOver;
          if (is_own && outcome == OfferOutcome::kTaken) MakeCopies(group, ref);
        });
  }
}

absl::Status Replicator::OnIntroduce(PeerId session, ClientId client, const Introduce& who) {
  if (who.member == around_.self.member) {
    return absl::InvalidArgumentError(absl::StrCat(who.member, " is this member itself"));
  }
  if (OfSession(session).has_value()) {
    return absl::InvalidArgumentError("who it is was said before on this connection");
  }
  Peer& peer = PeerOf(NumberOf(who.member));
  if (peer.session.has_value()) {  // it has connected again before the loss was seen
    around_.fabric.Close(*peer.session);
    peer.offers.Close();
    const bool is_fresh = SteadyNow() - peer.link->tried() < options_.answer_timeout;
    if (!is_fresh) peer.link->Suspect("it has connected again, and may have left this one");
  }
  if (peer.incarnation != who.incarnation) peer.missed_drops->Clear();
  peer.incarnation = who.incarnation;
  peer.session = session;
  peer.offers.Open(client, [this, &peer](const Offer& offer) { SendToSession(peer, offer); });
  SendMissedDrops(peer);
  groups_changed_ = true;
  ChoosePlaces(SteadyNow());
  return absl::OkStatus();
}

std::optional<PeerNumber> Replicator::OfSession(PeerId session) const {
  for (PeerNumber number = 1; number <= LastPeer(); ++number) {
    if (PeerOf(number).session == session) return number;
  }
  return std::nullopt;
}

void Replicator::OnSessionLost(PeerId session, bool said_goodbye, absl::Time now) {
  const std::optional<PeerNumber> number = OfSession(session);
  if (!number.has_value()) return;
  Peer& peer = PeerOf(*number);
  peer.session.reset();
  peer.absent_since = said_goodbye ? absl::InfinitePast() : now;
  peer.offers.Close();
  if (hand_over_.has_value()) {
    for (const OfferedName& name : peer.offers.TakeWaiting()) HandOverPage(name);
  } else if (places_.Find(peer.name) == nullptr) {
    peer.offers.TakeWaiting();  // nothing is placed there any more
  }
}

absl::Status Replicator::OnOfferTaken(PeerId session, const OfferTaken& taken) {
  const std::optional<PeerNumber> number = OfSession(session);
  if (!number.has_value()) return absl::FailedPreconditionError("nobody was offered anything");
  return PeerOf(*number).offers.OnTaken(taken);
}

void Replicator::LeaveTheLate(absl::Time now) {
  if (now < next_look_) return;
  next_look_ = peers_.empty() ? absl::InfiniteFuture() : now + kLookInterval;
  const absl::Time since = now - options_.answer_timeout;
  for (PeerNumber number = 1; number <= LastPeer(); ++number) {
    Peer& peer = PeerOf(number);
    PeerLink* link = peer.link.get();
    if (link != nullptr && link->up() &&
        (pulls_.IsLate(number, since) || intake_.IsLate(*link->connection(), since))) {
      link->Suspect("it does not answer");
    }
    if (peer.session.has_value() &&
        (peer.offers.oldest_offer() < since || *peer.sends > kMostSends)) {
      LogWarning("member ", peer.name, " does not answer: its connection is closed");
      const PeerId session = *peer.session;
      around_.fabric.Close(session);
      OnSessionLost(session, false, now);
      if (link != nullptr) link->Suspect("it does not answer what it is offered");
    }
  }
  ChoosePlaces(now);
}

template <typename Message>
void Replicator::SendToSession(Peer& peer, const Message& message, std::function<void()> failed) {
  ++*peer.sends;
  SendMessage(around_.fabric, *peer.session, 0, message,
              [sends = peer.sends, failed = std::move(failed)](const absl::Status& status) {
                --*sends;
                if (!status.ok() && failed) failed();
              });
}

void Replicator::SendDrop(Peer& peer, const MissedDrops::Drop& drop) {
  std::visit(
      [&](const auto& message) {
        SendToSession(peer, message, [missed = peer.missed_drops, drop] { missed->Add(drop); });
      },
      *drop);
}

void Replicator::SendMissedDrops(Peer& peer) {
  // Of what may be under way half, so that a member that is back is not left for want of answers.
  while (peer.session.has_value() && !peer.missed_drops->empty() && *peer.sends < kMostSends / 2) {
    SendDrop(peer, peer.missed_drops->TakeFirst());
  }
}

void Replicator::SendAnswers(Peer& peer) {
  if (peer.link == nullptr || !peer.link->up()) return;
  ServiceConnection& connection = *peer.link->connection();
  connection.SendInBatches(&OfferTaken::pages, std::exchange(peer.answers, {}));
  connection.SendInBatches(&Unpin::slabs, std::exchange(peer.unpins, {}));
}

void Replicator::AnnounceGroups() {
  const std::uint64_t changes = store_.inventory.group_changes();
  if (!groups_changed_ && changes == seen_group_changes_) return;
  groups_changed_ = false;
  seen_group_changes_ = changes;
  absl::flat_hash_map<GroupId, std::uint8_t> groups;
  for (const GroupId group : client_groups_) groups[group] |= kGroupHasClients;
  for (const GroupId group : store_.inventory.GroupsWithPages()) groups[group] |= kGroupHasPages;
  PeerGroups announced;
  for (const auto& [group, has] : groups) {
    if (announced.groups.size() < kMaxListElements)
      announced.groups.push_back({group.value(), has});
  }
  for (const auto& peer : peers_) {
    if (peer->session.has_value()) SendToSession(*peer, announced);
  }
}

}  // namespace pinboard::cache_service
