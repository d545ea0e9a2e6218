// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// This member as a client of another one: greeted, introduced, and connected again when lost.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cache_service/access/key_ring.h"
#include "cache_service/client/reply_router.h"
#include "cache_service/client/service_connection.h"
#include "cache_service/protocol/messages.h"
#include "transport/fabric/fabric.h"

namespace pinboard::cache_service {

/// A group of this process that no engine has: a member is a client of other members in it.
GroupId MemberGroup();

///             time to retry           connected            Welcome, Segments
///   resting ----------------> connecting --> greeting --------------> up
///      ^                          |             |                     |
///      +---- longer and longer ---+-------------+--- closed, or Suspect
///
/// Nothing waits: a peer that does not answer is left at its deadline. Single-threaded, on the
/// thread that owns the fabric.
class PeerLink final : private ServiceReplies {
 public:
  struct Handlers {
    std::function<void()> up;
    std::function<void()> down;  // was up; what it was asked for is not answered any more
    std::function<void(const PeerGroups&)> groups;
    std::function<void(const Offer&)> offer;
    std::function<void(const PeerDrop&)> drop;
    std::function<void(const PeerDropSequence&)> drop_sequence;
    /// False: it was not asked for so, which breaks the protocol.
    std::function<bool(std::uint64_t request, const std::vector<FetchedPage>&)> fetched;
    std::function<void()> broken;  // the other one broke the protocol: the connection ends
  };
  /// What to show; nothing where the service has no keys. An error: this one has none to show.
  using Keys = std::function<absl::StatusOr<std::optional<Credentials>>()>;

  /// `router` is the fabric's; both must outlive this, as must `ended`: the connections of this
  /// link and of earlier ones to the same member that LetGoOf is due for.
  PeerLink(transport::Fabric& fabric, ReplyRouter& router, std::vector<ServiceConnectionPtr>& ended,
           std::string address, Introduce self, Keys keys, absl::Duration answer_timeout,
           Handlers handlers);
  ~PeerLink() override;
  PeerLink(const PeerLink&) = delete;
  PeerLink& operator=(const PeerLink&) = delete;

  const std::string& address() const { return address_; }
  bool up() const { return state_ == State::kUp; }
  /// When it was last begun to connect.
  absl::Time tried() const { return tried_; }
  /// Requires up(). Shared: transfers hold it beyond the link's loss.
  const ServiceConnectionPtr& connection() const { return connection_; }

  /// Connects where it is time to, lets go of earlier connections, and gives up where it has been
  /// tried for too long.
  void Tick(absl::Time now);
  /// When it wants to be called.
  absl::Time next_tick() const { return next_; }
  /// It does not answer: closes, and tries again later. No effect unless up().
  void Suspect(const std::string& why);

 private:
  enum class State : std::uint8_t { kResting, kConnecting, kGreeting, kUp };

  absl::Status OnReply(const Envelope<Challenge>& envelope) override;
  absl::Status OnReply(const Envelope<Welcome>& envelope) override;
  absl::Status OnReply(const Envelope<Segments>& envelope) override;
  absl::Status OnReply(const Envelope<Withdrawn>& envelope) override;
  absl::Status OnReply(const Envelope<LeaseReply>& envelope) override;
  absl::Status OnReply(PageListReader<FetchReply>& pages) override;
  absl::Status OnReply(PageListReader<FetchHits>& pages) override;
  absl::Status OnReply(const Envelope<FetchMisses>& envelope) override;
  absl::Status OnReply(const Envelope<Error>& envelope) override;
  absl::Status OnReply(const Envelope<PeerGroups>& envelope) override;
  absl::Status OnReply(const Envelope<Offer>& envelope) override;
  absl::Status OnReply(const Envelope<PeerDrop>& envelope) override;
  absl::Status OnReply(const Envelope<PeerDropSequence>& envelope) override;
  void OnBroken(const absl::Status& why) override;
  void OnClosed(const absl::Status& reason) override { Rest(reason); }

  void Connect(absl::Time now);
  void OnConnected(const absl::StatusOr<transport::PeerId>& peer);
  void ContinueGreeting();
  absl::Status CheckUp() const;
  absl::Status OnFetched(std::uint64_t request, const std::vector<FetchedPage>& pages) const;
  void Leave(const absl::Status& why);
  void Rest(const absl::Status& why);
  ServiceConnection* Up() const { return up() ? connection_.get() : nullptr; }

  transport::Fabric& fabric_;
  ReplyRouter& router_;
  std::vector<ServiceConnectionPtr>& ended_;
  const std::string address_;
  const Introduce self_;
  const Keys keys_;
  const absl::Duration answer_timeout_;
  const Handlers handlers_;
  State state_ = State::kResting;
  ServiceConnectionPtr connection_;         // while greeting, or up
  absl::Time next_ = absl::InfinitePast();  // to connect, or to give up
  absl::Time tried_ = absl::InfinitePast();
  absl::Duration rest_;  // from there to the next time, at least
  bool said_down_ = false;
  // Shared with the fabric while it connects: it may end that after the link.
  std::shared_ptr<PeerLink*> self_pointer_;
};

}  // namespace pinboard::cache_service
