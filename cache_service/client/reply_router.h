// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What services say, handed to the client of each: one fabric may have connections to many.
#pragma once

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "cache_service/protocol/messages.h"
#include "cache_service/protocol/page_lists.h"
#include "transport/fabric/fabric.h"

namespace pinboard::cache_service {

/// A client's half of the protocol. What OnReply refuses breaks the protocol.
class ServiceReplies {
 public:
  virtual ~ServiceReplies() = default;
  virtual absl::Status OnReply(const Envelope<Challenge>& envelope) = 0;
  virtual absl::Status OnReply(const Envelope<Welcome>& envelope) = 0;
  virtual absl::Status OnReply(const Envelope<Segments>& envelope) = 0;
  virtual absl::Status OnReply(const Envelope<Withdrawn>& envelope) = 0;
  virtual absl::Status OnReply(const Envelope<LeaseReply>& envelope) = 0;
  virtual absl::Status OnReply(PageListReader<FetchReply>& pages) = 0;
  virtual absl::Status OnReply(PageListReader<FetchHits>& pages) = 0;
  virtual absl::Status OnReply(const Envelope<FetchMisses>& envelope) = 0;
  virtual absl::Status OnReply(const Envelope<Error>& envelope) = 0;
  // To members alone: for others, what nobody has agreed on.
  virtual absl::Status OnReply(const Envelope<PeerGroups>&) { return NotAMember(); }
  virtual absl::Status OnReply(const Envelope<Offer>&) { return NotAMember(); }
  virtual absl::Status OnReply(const Envelope<PeerDrop>&) { return NotAMember(); }
  virtual absl::Status OnReply(const Envelope<PeerDropSequence>&) { return NotAMember(); }
  /// A message cannot be read, or was refused: the client ends the connection.
  virtual void OnBroken(const absl::Status& why) = 0;
  virtual void OnClosed(const absl::Status& reason) = 0;

 private:
  static absl::Status NotAMember() {
    return absl::FailedPreconditionError("what only members say to each other");
  }
};

/// Single-threaded, on the thread that owns the fabric. Must outlive the fabric's last progress.
class ReplyRouter {
 public:
  /// Takes the messages that services send. The fabric's OnClosed stays its owner's, who passes on
  /// what it is told.
  explicit ReplyRouter(transport::Fabric& fabric);
  ReplyRouter(const ReplyRouter&) = delete;
  ReplyRouter& operator=(const ReplyRouter&) = delete;

  /// Until Remove, or Closed. `client` may be destroyed only after that.
  void Add(transport::PeerId peer, ServiceReplies& client) { clients_[peer] = &client; }
  void Remove(transport::PeerId peer) { clients_.erase(peer); }
  /// False where no client has this peer.
  bool Closed(transport::PeerId peer, const absl::Status& reason);

 private:
  template <typename Message>
  void Register(transport::Fabric& fabric);

  absl::flat_hash_map<transport::PeerId, ServiceReplies*> clients_;
};

}  // namespace pinboard::cache_service
