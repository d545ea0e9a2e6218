// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// One connection of a UcxFabric.
#pragma once

#include <ucp/api/ucp.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "transport/fabric/fabric.h"
#include "transport/fabric/ucx/access_message.h"
#include "transport/fabric/ucx/control_link.h"
#include "transport/fabric/ucx/inbox.h"
#include "transport/fabric/ucx/operation_table.h"
#include "transport/fabric/ucx/ucx_worker.h"

namespace pinboard::transport {

/// States: kConnecting, the socket is under way; kGreeting, waiting for the
/// other side's Hello; kOpen; kClosing, no new operations, those under way end; kGone, the socket
/// ended, so nothing will end by itself. Removed from kClosing and kGone by UcxFabric::Reap.
enum class PeerState : std::uint8_t { kConnecting, kGreeting, kOpen, kClosing, kGone };

/// What was asked of a peer about its segment, and has not been answered whole.
struct Access {
  Operation* operation = nullptr;
  std::size_t bytes_left = 0;
  absl::Span<std::byte> to;  // a get's
};

/// An access of the peer to a segment of ours, to be answered.
struct Answering {
  AccessHeader asked;
  std::size_t sent = 0;  // of a get's bytes
};

struct UcxPeer {
  UcxPeer(PeerId id, UniqueFd fd, std::uint32_t nonce)
      : id(id), link(std::move(fd)), nonce(nonce) {}

  PeerId id;
  ControlLink link;
  std::uint32_t nonce;  // ours: the peer repeats it in its messages
  PeerState state = PeerState::kGreeting;
  bool outgoing = false;
  std::string address;                           // of the other side, for people
  Fabric::Connected connected;                   // outgoing: until it has been called
  absl::Time deadline = absl::InfiniteFuture();  // of the greeting; then of a Close from here
  bool was_open = false;

  /// Its own. In shared memory all who send share one queue, and one that dies while it writes
  /// blocks it for good; over a network only the worker's end ends what the peer sends and puts.
  /// Shared with what is mapped of the peer.
  std::shared_ptr<UcxWorker> worker;
  ucp_ep_h endpoint = nullptr;
  bool shares_memory = false;  // else the endpoint has UCX's own error handling
  std::uint32_t remote_id = 0;
  std::uint32_t remote_nonce = 0;
  std::uint64_t messages_sent = 0;
  Inbox inbox;
  bool queued = false;  // in UcxFabric::queued_
  std::uint64_t accesses_asked = 0;
  absl::flat_hash_map<std::uint64_t, Access> accesses;  // by the number that they were asked under
  absl::flat_hash_set<std::uint64_t> lent;              // names of our segments
  std::deque<Answering> to_answer;
  std::size_t answering_bytes = 0;  // of gets, that UCX has not sent

  bool closed_here = false;
  bool said_goodbye = false;
  std::optional<std::uint64_t> messages_expected;  // from the peer's Goodbye
  absl::Status reason;                             // why it is closing or gone
};

}  // namespace pinboard::transport
