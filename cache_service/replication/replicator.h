// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// One tenant's pages at other members: copied, spilled, pulled, and forgotten.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "cache_service/inventory/inventory.h"
#include "cache_service/membership/member.h"
#include "cache_service/placement/placement.h"
#include "cache_service/replication/group_holds.h"
#include "cache_service/replication/hand_over.h"
#include "cache_service/replication/missed_drops.h"
#include "cache_service/replication/offer_queue.h"
#include "cache_service/replication/page_intake.h"
#include "cache_service/replication/peer_link.h"
#include "cache_service/replication/pulls.h"
#include "cache_service/replication/replication_counts.h"
#include "cache_service/replication/replication_options.h"
#include "transport/fabric/fabric.h"

namespace pinboard::cache_service {

/// Two members have two connections, each a client of the other's service. Over that which the
/// other one made (its *session* here) it is told of groups and drops, and offered pages; over that
/// which this one made (its *link*) pages are asked for, and all are read. A page that comes always
/// comes in through PageIntake.
///
/// What is believed of another member ends with the connection over which it was heard. Nothing
/// waits, and everything that waits for another member is bounded. Single-threaded, on the thread
/// that owns the fabric.
class Replicator {
 public:
  struct Surroundings {
    transport::Fabric& fabric;
    ReplyRouter& router;
    Introduce self;
    PeerLink::Keys keys;
    /// A page has come, or will not: who waits for it is to look again.
    std::function<void(GroupId, const PageKey&)> look_again;
  };

  /// What `around` and `store` refer to must outlive this.
  Replicator(Surroundings around, const TenantStore& store, const ReplicationOptions& options);

  /// Who the members are now, this one included.
  void SetView(MembershipViewPtr view, absl::Time now);
  bool HasMember(const std::string& name) const { return view_->Find(name) != nullptr; }

  /// A member of the view has connected, as this client. InvalidArgument: it is this one.
  absl::Status OnIntroduce(transport::PeerId session, ClientId client, const Introduce& who);
  /// No effect for sessions of others than members, as in the next.
  /// `said_goodbye`: it ends, and is not waited for.
  void OnSessionLost(transport::PeerId session, bool said_goodbye, absl::Time now);
  absl::Status OnOfferTaken(transport::PeerId session, const OfferTaken& taken);

  // What clients of this member did.
  void OnPublished(GroupId group, absl::Span<const PublishedPage> pages);
  void OnDropped(GroupId group, const std::vector<PageRef>& pages);
  void OnSequenceDropped(GroupId group, std::uint64_t sequence);
  /// The groups that have some.
  void SetClientGroups(std::vector<GroupId> groups);

  /// Whether a connected member has said that it has pages of the group.
  bool IsElsewhere(GroupId group) const;
  void Pull(GroupId group, absl::Span<const PageRef> pages, absl::Time deadline);
  bool IsPulling(GroupId group, const PageRef& page) const { return pulls_.IsPulling(group, page); }

  /// This member ends: from now on it takes no offers, and offers its pages to the first other
  /// members of their extents that are connected, the best page first; where one is not taken, to
  /// the next.
  void Drain() {
    hand_over_.emplace(store_.inventory);
    look_.reset();
    left_out_ = false;
  }
  /// All that could be handed over has been, or nobody is there who could take it: connected, or
  /// lost for less than the time that an answer may take.
  bool IsDrained() const;

  void Tick(absl::Time now);
  absl::Time next_tick() const;
  ReplicationCounts counts() const;

 private:
  struct Peer {
    Peer(Inventory& inventory, OfferQueue::Ended ended) : offers(inventory, std::move(ended)) {}

    std::string name;
    std::vector<ServiceConnectionPtr> ended;    // of all links
    std::unique_ptr<PeerLink> link;             // while it is in the view
    absl::flat_hash_set<GroupId> has_pages_of;  // as it says over the link
    std::vector<AnsweredPage> answers;          // to go over the link
    std::vector<std::uint64_t> unpins;          // likewise

    std::optional<transport::PeerId> session;
    std::uint64_t incarnation = 0;  // of its last session
    absl::Time absent_since;        // where it has no session
    OfferQueue offers;
    absl::Time full_until = absl::InfinitePast();  // it has no room for what others spill
    // Shared with the fabric, as sends end maybe after this has: what it could not send, and how
    // much is under way.
    std::shared_ptr<MissedDrops> missed_drops = std::make_shared<MissedDrops>();
    std::shared_ptr<std::size_t> sends = std::make_shared<std::size_t>(0);
  };

  // replicator_peers.cc
  Peer& PeerOf(PeerNumber number) { return *peers_[number - 1]; }
  const Peer& PeerOf(PeerNumber number) const { return *peers_[number - 1]; }
  /// Peers are numbered from 1.
  PeerNumber LastPeer() const { return static_cast<PeerNumber>(peers_.size()); }
  PeerNumber NumberOf(const std::string& name);
  std::optional<PeerNumber> OfSession(transport::PeerId session) const;
  PeerLink::Handlers HandlersOf(PeerNumber number);
  void OnLinkDown(PeerNumber number);
  void OnGroups(PeerNumber number, const PeerGroups& announced);
  void OnOffer(PeerNumber number, const Offer& offer);
  void LeaveTheLate(absl::Time now);
  template <typename Message>
  void SendToSession(Peer& peer, const Message& message, std::function<void()> failed = nullptr);
  void SendDrop(Peer& peer, const MissedDrops::Drop& drop);
  void SendMissedDrops(Peer& peer);
  void SendAnswers(Peer& peer);
  void AnnounceGroups();

  // replicator_drain.cc
  std::optional<PeerNumber> HeirOf(const OfferedName& name) const;
  bool IsHeir(const Peer& peer) const;
  bool HasHeirs() const;
  std::size_t OffersToHeirs() const;
  void HandOverPage(OfferedName name);
  void OnOfferEnded(PeerNumber peer, OfferedName name, OfferEnd end);
  void HandOverMore();

  // replicator_copies.cc
  using Placed = std::pair<ExtentId, std::vector<PeerNumber>>;
  /// At all pages here, since the places have changed.
  struct Look {
    SlabAddress next;
    std::uint64_t pages_left = 0;
    std::optional<MembershipView> before;           // what all were placed on; none: not known
    std::optional<Placed> placed;                   // the last extent that was looked for there
    absl::flat_hash_set<PeerNumber> started_again;  // since then, without the pages they had
  };
  bool IsPresent(const Peer& peer, absl::Time now) const;
  void ChoosePlaces(absl::Time now);
  std::vector<PeerNumber> FirstOf(const ExtentId& extent, const MembershipView& places) const;
  const std::vector<PeerNumber>& PlacesOf(const ExtentId& extent);
  bool HadItsPlace(PeerNumber place, const ExtentId& extent);
  void MakeCopies(GroupId group, const PageRef& page);
  bool HasToLook() const { return look_.has_value() || left_out_; }
  void BeginLook();
  void MakeCopiesAnew(MembershipView before);
  bool MakeCopiesOf(const NamedPage& page, const PageOrigin& origin);
  bool HasRoomForCopies() const;
  void MakeMoreCopies();
  std::uint64_t UnderReplicated() const;

  // replicator_spill.cc
  std::optional<PeerNumber> HostOf(const OfferedName& name, absl::Time now) const;
  std::size_t MayBeSpilled(absl::Time now) const;
  void SpillMore(absl::Time now);
  void OnSpillEnded(PeerNumber peer, const OfferedName& name, OfferEnd end);

  // replicator.cc
  template <typename Message>
  void TellOfDrop(Message drop);
  void CountOffer(OfferKind kind, OfferEnd end);

  const Surroundings around_;
  const TenantStore store_;
  const ReplicationOptions options_;
  MembershipViewPtr view_ = std::make_shared<MembershipView>();
  MembershipView places_;  // the others that pages are placed on now
  std::vector<std::unique_ptr<Peer>> peers_;
  absl::flat_hash_map<std::string, PeerNumber> numbers_;
  PageIntake intake_;
  Pulls pulls_;
  GroupHolds holds_;
  std::vector<GroupId> client_groups_;
  bool groups_changed_ = true;
  std::uint64_t seen_group_changes_ = 0;
  absl::Time next_look_ = absl::InfinitePast();  // at who is late, or gone for too long
  std::optional<Placed> placed_;                 // the last extent that was looked for in places_

  std::optional<Look> look_;
  bool left_out_ = false;              // a copy, as too many waited: to be looked for
  std::optional<HandOver> hand_over_;  // while draining
  ReplicationCounts counts_;           // offers and drops
};

}  // namespace pinboard::cache_service
