// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "transport/fabric/loopback/loopback_state.h"

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace pinboard::transport {

NodeId LoopbackState::AddNode() {
  absl::MutexLock lock(&mutex_);
  const NodeId node(next_node_++);
  nodes_[node];
  return node;
}

void LoopbackState::RemoveNode(NodeId node) {
  absl::MutexLock lock(&mutex_);
  BreakAll(node, absl::UnavailableError("this side was killed"));
  std::erase_if(listeners_, [node](const auto& listener) { return listener.second == node; });
  nodes_[node].dead = true;
}

void LoopbackState::Cut(NodeId node) {
  absl::MutexLock lock(&mutex_);
  BreakAll(node, absl::UnavailableError("the connection was cut"));
}

void LoopbackState::SetStalled(NodeId node, bool stalled) {
  absl::MutexLock lock(&mutex_);
  nodes_[node].stalled = stalled;
  std::deque<Held> held;
  held.swap(held_);
  for (Held& one : held) Deliver(one.from, one.to, std::move(one.action));
}

void LoopbackState::RefuseDirectMapping(bool refuse) {
  absl::MutexLock lock(&mutex_);
  refuse_direct_ = refuse;
}

bool LoopbackState::direct_refused() const {
  absl::MutexLock lock(&mutex_);
  return refuse_direct_;
}

void LoopbackState::SetMemoryLimit(std::size_t bytes) {
  absl::MutexLock lock(&mutex_);
  memory_limit_ = bytes;
}

absl::StatusOr<std::string> LoopbackState::Listen(NodeId node, const std::string& address) {
  const auto colon = address.rfind(':');
  int port = 0;
  if (colon == std::string::npos || !absl::SimpleAtoi(address.substr(colon + 1), &port)) {
    return absl::InvalidArgumentError(absl::StrCat("\"", address, "\" is not host:port"));
  }
  absl::MutexLock lock(&mutex_);
  const std::string bound =
      port != 0 ? address : absl::StrCat(address.substr(0, colon), ":", next_port_++);
  if (!listeners_.emplace(bound, node).second) {
    return absl::AlreadyExistsError(absl::StrCat("cannot listen at ", bound, ": in use"));
  }
  return bound;
}

absl::StatusOr<PeerId> LoopbackState::Connect(NodeId node, const std::string& address) {
  const auto colon = address.rfind(':');
  int port = 0;
  if (colon == std::string::npos || !absl::SimpleAtoi(address.substr(colon + 1), &port)) {
    return absl::InvalidArgumentError(absl::StrCat("\"", address, "\" is not host:port"));
  }
  absl::MutexLock lock(&mutex_);
  const auto listener = listeners_.find(address);
  if (listener == listeners_.end() || nodes_[node].dead) {
    return absl::UnavailableError(absl::StrCat("nobody listens at ", address));
  }
  const NodeId other = listener->second;
  const LoopbackEnd here{node, PeerId(nodes_[node].next_peer++)};
  const LoopbackEnd there{other, PeerId(nodes_[other].next_peer++)};
  connections_[here] = there;
  connections_[there] = here;
  Deliver(node, other, [this, here, there]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    Post(there.node, {.kind = LoopbackEvent::Kind::kAccepted, .peer = there.peer});
    Post(here.node, {.kind = LoopbackEvent::Kind::kConnected, .peer = here.peer});
  });
  return here.peer;
}

void LoopbackState::Disconnect(const LoopbackEnd& end) {
  absl::MutexLock lock(&mutex_);
  const auto connection = connections_.find(end);
  if (connection == connections_.end()) return;
  const LoopbackEnd other = connection->second;
  connections_.erase(connection);
  Deliver(end.node, other.node, [this, other]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    Break(other, absl::UnavailableError(
                     absl::StrCat("peer ", other.peer.value(), " closed the connection")));
  });
}

void LoopbackState::Send(const LoopbackEnd& from, std::uint8_t type,
                         absl::Span<const std::byte> payload, std::uint64_t operation) {
  absl::MutexLock lock(&mutex_);
  const auto connection = connections_.find(from);
  if (connection == connections_.end()) return;
  const LoopbackEnd to = connection->second;
  LoopbackEvent message{.kind = LoopbackEvent::Kind::kMessage,
                        .peer = to.peer,
                        .type = type,
                        .payload = {payload.begin(), payload.end()}};
  Deliver(from.node, to.node,
          [this, from, to, operation, message = std::move(message)]()
              ABSL_NO_THREAD_SAFETY_ANALYSIS mutable {
                Post(to.node, std::move(message));
                Post(from.node, {.kind = LoopbackEvent::Kind::kEnded, .operation = operation});
              });
}

void LoopbackState::Access(const LoopbackEnd& from, std::uint64_t operation,
                           std::function<absl::Status()> access) {
  absl::MutexLock lock(&mutex_);
  const auto connection = connections_.find(from);
  if (connection == connections_.end()) return;
  const LoopbackEnd to = connection->second;
  Deliver(from.node, to.node,
          [this, from, to, operation, access = std::move(access)]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
            const absl::Status status = connections_.contains(to)
                                            ? access()
                                            : absl::UnavailableError("the peer has closed");
            Post(from.node,
                 {.kind = LoopbackEvent::Kind::kEnded, .operation = operation, .status = status});
          });
}

absl::StatusOr<std::shared_ptr<LoopbackMemory>> LoopbackState::Allocate(std::size_t bytes) {
  if (bytes == 0) return absl::InvalidArgumentError("a segment needs at least one byte");
  absl::MutexLock lock(&mutex_);
  std::size_t used = 0;
  for (const auto& [id, segment] : segments_) used += segment.memory->size();
  if (bytes > memory_limit_ - std::min(used, memory_limit_)) {
    return absl::ResourceExhaustedError(absl::StrCat("a segment of ", bytes,
                                                     " bytes exceeds the memory left, ",
                                                     memory_limit_ - used, ": ask for less"));
  }
  constexpr std::size_t kPageBytes = 4096;
  return std::make_shared<LoopbackMemory>((bytes + kPageBytes - 1) / kPageBytes * kPageBytes);
}

std::uint64_t LoopbackState::Publish(NodeId node, std::shared_ptr<LoopbackMemory> memory) {
  absl::MutexLock lock(&mutex_);
  segments_[next_segment_] = {node, std::move(memory)};
  return next_segment_++;
}

void LoopbackState::Forget(std::uint64_t segment) {
  absl::MutexLock lock(&mutex_);
  segments_.erase(segment);
}

std::shared_ptr<LoopbackMemory> LoopbackState::FindSegment(const LoopbackEnd& end,
                                                           std::uint64_t segment) {
  absl::MutexLock lock(&mutex_);
  const auto connection = connections_.find(end);
  const auto found = segments_.find(segment);
  if (connection == connections_.end() || found == segments_.end() ||
      found->second.owner != connection->second.node) {
    return nullptr;
  }
  return found->second.memory;
}

std::optional<LoopbackEvent> LoopbackState::TakeEvent(NodeId node) {
  absl::MutexLock lock(&mutex_);
  auto& events = nodes_[node].events;
  if (events.empty()) return std::nullopt;
  LoopbackEvent event = std::move(events.front());
  events.pop_front();
  return event;
}

void LoopbackState::WaitForEvent(NodeId node, absl::Time deadline) {
  absl::MutexLock lock(&mutex_);
  Node& self = nodes_[node];
  while (self.events.empty() && !self.woken) {
    if (!changed_.WaitUntil(mutex_, deadline)) break;
  }
  self.woken = false;
}

void LoopbackState::Wake(NodeId node) {
  absl::MutexLock lock(&mutex_);
  nodes_[node].woken = true;
  changed_.SignalAll();
}

bool LoopbackState::Blocked(NodeId from, NodeId to) {
  return nodes_[from].stalled || nodes_[to].stalled;
}

void LoopbackState::Deliver(NodeId from, NodeId to, std::function<void()> action) {
  if (nodes_[from].dead || nodes_[to].dead) return;
  if (Blocked(from, to)) {
    held_.push_back({from, to, std::move(action)});
  } else {
    action();
  }
}

void LoopbackState::Post(NodeId node, LoopbackEvent event) {
  if (nodes_[node].dead) return;
  nodes_[node].events.push_back(std::move(event));
  changed_.SignalAll();
}

void LoopbackState::BreakAll(NodeId node, const absl::Status& status) {
  std::vector<LoopbackEnd> ends;
  for (const auto& [end, other] : connections_) {
    if (end.node == node) ends.push_back(end);
  }
  for (const LoopbackEnd& end : ends) {
    const LoopbackEnd other = connections_.at(end);
    Break(other, absl::UnavailableError(absl::StrCat("peer ", other.peer.value(), " is gone")));
    Break(end, status);
  }
  std::erase_if(held_, [node](const Held& held) { return held.from == node || held.to == node; });
}

void LoopbackState::Break(const LoopbackEnd& end, const absl::Status& status) {
  if (connections_.erase(end) == 0) return;
  Post(end.node,
       {.kind = LoopbackEvent::Kind::kClosed, .peer = end.peer, .operation = 0, .status = status});
}

}  // namespace pinboard::transport
