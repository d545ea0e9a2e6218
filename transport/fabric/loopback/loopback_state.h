// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What the Fabrics of a LoopbackHub share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/steady_condition.h"
#include "transport/fabric/fabric.h"

namespace pinboard::transport {

using NodeId = StrongId<struct LoopbackNodeTag, std::uint32_t>;
using LoopbackMemory = std::vector<std::byte>;

/// One side of a connection.
struct LoopbackEnd {
  NodeId node;
  PeerId peer;  // as that node calls the connection
  friend auto operator<=>(const LoopbackEnd&, const LoopbackEnd&) = default;
};

/// Something for a Fabric's thread to do in its Progress.
struct LoopbackEvent {
  enum class Kind : std::uint8_t { kAccepted, kConnected, kMessage, kEnded, kClosed };
  Kind kind = Kind::kMessage;
  PeerId peer;
  std::uint8_t type = 0;           // kMessage
  std::vector<std::byte> payload;  // kMessage
  std::uint64_t operation = 0;     // kEnded
  absl::Status status;             // kEnded, kClosed
};

/// Thread-safe. Traffic between two nodes passes through Deliver, which holds it while either is
/// stalled and forgets it once either is dead.
class LoopbackState {
 public:
  NodeId AddNode();
  /// The node is gone: its peers see it closed, it sees all its peers closed.
  void RemoveNode(NodeId node);
  void Cut(NodeId node);
  void SetStalled(NodeId node, bool stalled);
  void RefuseDirectMapping(bool refuse);
  void SetMemoryLimit(std::size_t bytes);

  absl::StatusOr<std::string> Listen(NodeId node, const std::string& address);
  /// The new connection, as `node` calls it; it is up when kConnected arrives.
  absl::StatusOr<PeerId> Connect(NodeId node, const std::string& address);
  /// The peer sees the connection closed after all that was sent before.
  void Disconnect(const LoopbackEnd& end);

  /// kEnded tells when the message has reached the peer's node.
  void Send(const LoopbackEnd& from, std::uint8_t type, absl::Span<const std::byte> payload,
            std::uint64_t operation);
  /// Runs `access` (a copy) when traffic passes, then kEnded with what it returns.
  void Access(const LoopbackEnd& from, std::uint64_t operation,
              std::function<absl::Status()> access);

  absl::StatusOr<std::shared_ptr<LoopbackMemory>> Allocate(std::size_t bytes);
  /// Makes the memory known under the id that it returns, until Forget.
  std::uint64_t Publish(NodeId node, std::shared_ptr<LoopbackMemory> memory);
  void Forget(std::uint64_t segment);
  /// Null: the peer has no such segment.
  std::shared_ptr<LoopbackMemory> FindSegment(const LoopbackEnd& end, std::uint64_t segment);
  bool direct_refused() const;

  std::optional<LoopbackEvent> TakeEvent(NodeId node);
  /// Sleeps until there is an event, Wake, or the deadline.
  void WaitForEvent(NodeId node, absl::Time deadline);
  void Wake(NodeId node);

 private:
  struct Node {
    std::deque<LoopbackEvent> events;
    bool stalled = false;
    bool dead = false;
    bool woken = false;
    std::uint32_t next_peer = 1;
  };
  struct Held {
    NodeId from;
    NodeId to;
    std::function<void()> action;
  };
  struct Published {
    NodeId owner;
    std::shared_ptr<LoopbackMemory> memory;
  };

  void Deliver(NodeId from, NodeId to, std::function<void()> action)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool Blocked(NodeId from, NodeId to) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Post(NodeId node, LoopbackEvent event) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Break(const LoopbackEnd& end, const absl::Status& status)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  /// All connections of the node, and what is held of them.
  void BreakAll(NodeId node, const absl::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  mutable absl::Mutex mutex_;
  SteadyCondition changed_;
  std::map<NodeId, Node> nodes_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, NodeId> listeners_ ABSL_GUARDED_BY(mutex_);
  std::map<LoopbackEnd, LoopbackEnd> connections_ ABSL_GUARDED_BY(mutex_);
  std::deque<Held> held_ ABSL_GUARDED_BY(mutex_);
  std::map<std::uint64_t, Published> segments_ ABSL_GUARDED_BY(mutex_);
  std::uint32_t next_node_ ABSL_GUARDED_BY(mutex_) = 1;
  std::uint64_t next_segment_ ABSL_GUARDED_BY(mutex_) = 1;
  int next_port_ ABSL_GUARDED_BY(mutex_) = 20000;
  bool refuse_direct_ ABSL_GUARDED_BY(mutex_) = false;
  std::size_t memory_limit_ ABSL_GUARDED_BY(mutex_) = std::size_t{1} << 30;
};

}  // namespace pinboard::transport
