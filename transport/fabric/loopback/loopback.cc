// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "transport/fabric/loopback/loopback.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/status_macros.h"
#include "transport/fabric/loopback/loopback_state.h"

namespace pinboard::transport {
namespace {

struct LoopbackKey {
  std::uint64_t magic = 0x6c6f6f706b6579;
  std::uint64_t segment = 0;
  std::uint64_t size_bytes = 0;
};

class LoopbackSegment : public Segment {
 public:
  LoopbackSegment(std::shared_ptr<LoopbackState> state, NodeId node,
                  std::shared_ptr<LoopbackMemory> memory)
      : state_(std::move(state)), memory_(std::move(memory)) {
    key_.segment = state_->Publish(node, memory_);
    key_.size_bytes = memory_->size();
  }
  ~LoopbackSegment() override { state_->Forget(key_.segment); }
  absl::Span<std::byte> memory() override { return absl::MakeSpan(*memory_); }
  absl::Span<const std::byte> remote_key() const override {
    return {reinterpret_cast<const std::byte*>(&key_), sizeof(key_)};
  }

 private:
  // Shared: the hub and the other Fabrics use it from their threads.
  std::shared_ptr<LoopbackState> state_;
  // Shared with the peers that have mapped it, as a mapping of the system would be.
  std::shared_ptr<LoopbackMemory> memory_;
  LoopbackKey key_;
};

class LoopbackRemoteSegment : public RemoteSegment {
 public:
  LoopbackRemoteSegment(PeerId peer, std::shared_ptr<LoopbackMemory> memory, bool direct)
      : peer_(peer), memory_(std::move(memory)), direct_(direct) {}
  std::size_t size_bytes() const override { return memory_->size(); }
  absl::Span<std::byte> direct() override {
    return direct_ ? absl::MakeSpan(*memory_) : absl::Span<std::byte>();
  }
  PeerId peer() const { return peer_; }
  const std::shared_ptr<LoopbackMemory>& memory() const { return memory_; }

 private:
  PeerId peer_;
  // Shared with its owner, as a mapping of the system would be.
  std::shared_ptr<LoopbackMemory> memory_;
  bool direct_;
};

class LoopbackFabric : public Fabric {
 public:
  explicit LoopbackFabric(std::shared_ptr<LoopbackState> state)
      : state_(std::move(state)), node_(state_->AddNode()) {}
  ~LoopbackFabric() override {
    state_->RemoveNode(node_);
    EndOperations([](PeerId) { return true; }, absl::CancelledError("the fabric was destroyed"));
    RunDue();
    while (!connecting_.empty()) {
      EndAttempt(connecting_.begin()->first, absl::CancelledError("the fabric was destroyed"));
    }
  }

  NodeId node() const { return node_; }

  absl::StatusOr<std::string> Listen(const std::string& address) override {
    return state_->Listen(node_, address);
  }
  absl::StatusOr<PeerId> Connect(const std::string& address, absl::Time deadline) override;
  void StartConnect(const std::string& address, absl::Time deadline, Connected connected) override;
  void OnMessage(std::uint8_t type, MessageHandler handler) override {
    on_message_.at(type) = std::move(handler);
  }
  void OnAccepted(std::function<void(PeerId)> handler) override {
    on_accepted_ = std::move(handler);
  }
  std::string AddressOf(PeerId) const override { return "loopback"; }
  void OnClosed(PeerHandler handler) override { on_closed_ = std::move(handler); }
  void Send(PeerId peer, std::uint8_t type, absl::Span<const std::byte> payload,
            Done done) override;
  absl::StatusOr<std::unique_ptr<Segment>> Allocate(std::size_t bytes) override {
    PB_ASSIGN_OR_RETURN(auto memory, state_->Allocate(bytes));
    return std::make_unique<LoopbackSegment>(state_, node_, std::move(memory));
  }
  void Lend(PeerId, const Segment&) override {}  // a key is enough, as where memory is mapped
  absl::StatusOr<std::unique_ptr<RemoteSegment>> Map(
      PeerId peer, absl::Span<const std::byte> remote_key) override;
  void Put(RemoteSegment& segment, std::size_t offset, absl::Span<const std::byte> from,
           Done done) override;
  void Get(RemoteSegment& segment, std::size_t offset, absl::Span<std::byte> to,
           Done done) override;
  void Close(PeerId peer) override;
  bool Progress() override;
  void WaitUntil(absl::Time deadline) override {
    if (Progress()) return;
    for (const auto& [peer, attempt] : connecting_) deadline = std::min(deadline, attempt.deadline);
    state_->WaitForEvent(node_, deadline);
    Progress();
  }
  void Wake() override { state_->Wake(node_); }

 private:
  struct Operation {
    PeerId peer;
    Done done;
  };
  struct Attempt {
    std::string address;
    absl::Time deadline;
    Connected connected;
  };

  std::uint64_t Start(PeerId peer, Done done) {
    operations_.emplace(next_operation_, Operation{peer, std::move(done)});
    return next_operation_++;
  }
  void Refuse(Done done, absl::Status status) {
    if (done) due_.emplace_back(std::move(done), std::move(status));
  }
  bool CheckAccess(LoopbackRemoteSegment& remote, std::size_t offset, std::size_t bytes,
                   Done& done);
  template <typename Predicate>
  void EndOperations(Predicate of_peer, const absl::Status& status);
  bool RunDue();
  void Handle(LoopbackEvent& event);
  void HandleClosed(PeerId peer, const absl::Status& reason);
  bool EndAttempt(PeerId peer, const absl::Status& outcome);
  bool EndLateAttempts();

  // Shared: Fabrics reach each other from their own threads and may outlive the hub.
  std::shared_ptr<LoopbackState> state_;
  NodeId node_;
  absl::flat_hash_map<PeerId, Attempt> connecting_;
  absl::flat_hash_set<PeerId> open_;
  std::vector<PeerId> closing_;  // by this side, since the last Progress
  absl::flat_hash_map<std::uint64_t, Operation> operations_;
  std::uint64_t next_operation_ = 1;
  std::vector<std::pair<Done, absl::Status>> due_;
  std::array<MessageHandler, 64> on_message_;
  std::function<void(PeerId)> on_accepted_;
  PeerHandler on_closed_;
};

absl::StatusOr<PeerId> LoopbackFabric::Connect(const std::string& address, absl::Time deadline) {
  std::optional<absl::StatusOr<PeerId>> outcome;
  StartConnect(address, deadline,
               [&outcome](absl::StatusOr<PeerId> connected) { outcome = std::move(connected); });
  while (!outcome.has_value()) WaitUntil(deadline);
  return *std::move(outcome);
}

void LoopbackFabric::StartConnect(const std::string& address, absl::Time deadline,
                                  Connected connected) {
  const absl::StatusOr<PeerId> peer = state_->Connect(node_, address);
  if (peer.ok()) {
    connecting_[*peer] = {address, deadline, std::move(connected)};
  } else {
    Refuse([connected](const absl::Status& why) { connected(why); }, peer.status());
  }
}

void LoopbackFabric::Send(PeerId peer, std::uint8_t type, absl::Span<const std::byte> payload,
                          Done done) {
  if (!open_.contains(peer)) {
    return Refuse(std::move(done), absl::UnavailableError("the peer is not connected"));
  }
  state_->Send({node_, peer}, type, payload, Start(peer, std::move(done)));
}

absl::StatusOr<std::unique_ptr<RemoteSegment>> LoopbackFabric::Map(
    PeerId peer, absl::Span<const std::byte> remote_key) {
  if (!open_.contains(peer)) return absl::UnavailableError("the peer is not connected");
  LoopbackKey key;
  const std::uint64_t magic = key.magic;
  if (remote_key.size() == sizeof(key)) std::memcpy(&key, remote_key.data(), sizeof(key));
  auto memory = state_->FindSegment({node_, peer}, key.segment);
  if (key.magic != magic || memory == nullptr || memory->size() != key.size_bytes) {
    return absl::InvalidArgumentError("not a remote key of this peer, or damaged");
  }
  return std::make_unique<LoopbackRemoteSegment>(peer, std::move(memory),
                                                 !state_->direct_refused());
}

bool LoopbackFabric::CheckAccess(LoopbackRemoteSegment& remote, std::size_t offset,
                                 std::size_t bytes, Done& done) {
  absl::Status status;
  if (!open_.contains(remote.peer())) {
    status = absl::UnavailableError("the peer is not connected");
  } else if (offset > remote.size_bytes() || bytes > remote.size_bytes() - offset) {
    status = absl::OutOfRangeError(absl::StrCat("bytes ", offset, "..", offset + bytes,
                                                " lie outside a segment of ", remote.size_bytes(),
                                                " bytes"));
  } else if (bytes > 0) {
    return true;
  }
  Refuse(std::move(done), std::move(status));
  return false;
}

void LoopbackFabric::Put(RemoteSegment& segment, std::size_t offset,
                         absl::Span<const std::byte> from, Done done) {
  auto& remote = static_cast<LoopbackRemoteSegment&>(segment);
  if (!CheckAccess(remote, offset, from.size(), done)) return;
  state_->Access({node_, remote.peer()}, Start(remote.peer(), std::move(done)),
                 [memory = remote.memory(), offset, from] {
                   std::memcpy(memory->data() + offset, from.data(), from.size());
                   return absl::OkStatus();
                 });
}

void LoopbackFabric::Get(RemoteSegment& segment, std::size_t offset, absl::Span<std::byte> to,
                         Done done) {
  auto& remote = static_cast<LoopbackRemoteSegment&>(segment);
  if (!CheckAccess(remote, offset, to.size(), done)) return;
  state_->Access({node_, remote.peer()}, Start(remote.peer(), std::move(done)),
                 [memory = remote.memory(), offset, to] {
                   std::memcpy(to.data(), memory->data() + offset, to.size());
                   return absl::OkStatus();
                 });
}

void LoopbackFabric::Close(PeerId peer) {
  if (open_.erase(peer) == 0) return;
  state_->Disconnect({node_, peer});
  closing_.push_back(peer);
}

bool LoopbackFabric::Progress() {
  bool any = false;
  while (auto event = state_->TakeEvent(node_)) {
    Handle(*event);
    any = true;
  }
  for (const PeerId peer : std::exchange(closing_, {})) {
    HandleClosed(peer, absl::CancelledError("the connection was closed on this side"));
    any = true;
  }
  any |= EndLateAttempts();
  return RunDue() || any;
}

bool LoopbackFabric::EndAttempt(PeerId peer, const absl::Status& outcome) {
  const auto attempt = connecting_.extract(peer);
  if (attempt.empty()) return false;
  attempt.mapped().connected(outcome.ok() ? absl::StatusOr<PeerId>(peer) : outcome);
  return true;
}

bool LoopbackFabric::EndLateAttempts() {
  if (connecting_.empty()) return false;
  const absl::Time now = SteadyNow();
  std::vector<std::pair<PeerId, absl::Status>> late;
  for (const auto& [peer, attempt] : connecting_) {
    if (now < attempt.deadline) continue;
    late.emplace_back(peer, absl::DeadlineExceededError(
                                absl::StrCat("no answer from ", attempt.address, " in time")));
  }
  for (const auto& [peer, why] : late) {
    state_->Disconnect({node_, peer});
    EndAttempt(peer, why);
  }
  return !late.empty();
}

void LoopbackFabric::Handle(LoopbackEvent& event) {
  switch (event.kind) {
    case LoopbackEvent::Kind::kAccepted:
      open_.insert(event.peer);
      if (on_accepted_) on_accepted_(event.peer);
      return;
    case LoopbackEvent::Kind::kConnected:
      open_.insert(event.peer);
      EndAttempt(event.peer, absl::OkStatus());
      return;
    case LoopbackEvent::Kind::kMessage:
      if (open_.contains(event.peer) && on_message_[event.type]) {
        on_message_[event.type](event.peer, event.payload);
      }
      return;
    case LoopbackEvent::Kind::kEnded:
      if (auto node = operations_.extract(event.operation); !node.empty()) {
        Refuse(std::move(node.mapped().done), std::move(event.status));
        RunDue();
      }
      return;
    case LoopbackEvent::Kind::kClosed:
      if (open_.erase(event.peer) > 0) return HandleClosed(event.peer, event.status);
      EndAttempt(event.peer, event.status);
      return;
  }
}

void LoopbackFabric::HandleClosed(PeerId peer, const absl::Status& reason) {
  EndOperations([peer](PeerId other) { return other == peer; }, reason);
  RunDue();
  if (on_closed_) on_closed_(peer, reason);
}

template <typename Predicate>
void LoopbackFabric::EndOperations(Predicate of_peer, const absl::Status& status) {
  std::vector<std::uint64_t> ended;
  for (const auto& [id, operation] : operations_) {
    if (of_peer(operation.peer)) ended.push_back(id);
  }
  for (const std::uint64_t id : ended) {
    Refuse(std::move(operations_.extract(id).mapped().done), status);
  }
}

bool LoopbackFabric::RunDue() {
  if (due_.empty()) return false;
  for (auto& [done, status] : std::exchange(due_, {})) done(status);
  return true;
}

}  // namespace

LoopbackHub::LoopbackHub() : state_(std::make_shared<LoopbackState>()) {}
LoopbackHub::~LoopbackHub() = default;

std::unique_ptr<Fabric> LoopbackHub::MakeFabric() {
  return std::make_unique<LoopbackFabric>(state_);
}

void LoopbackHub::Kill(const Fabric& fabric) {
  state_->RemoveNode(static_cast<const LoopbackFabric&>(fabric).node());
}

void LoopbackHub::Cut(const Fabric& fabric) {
  state_->Cut(static_cast<const LoopbackFabric&>(fabric).node());
}

void LoopbackHub::Stall(const Fabric& fabric, bool stalled) {
  state_->SetStalled(static_cast<const LoopbackFabric&>(fabric).node(), stalled);
}

void LoopbackHub::RefuseDirectMapping(bool refuse) { state_->RefuseDirectMapping(refuse); }

void LoopbackHub::SetMemoryLimit(std::size_t bytes) { state_->SetMemoryLimit(bytes); }

}  // namespace pinboard::transport
