// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "transport/fabric/ucx/ucx_fabric.h"

#include <algorithm>
#include <optional>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/clock.h"
#include "base/status_macros.h"
#include "transport/fabric/ucx/tcp_socket.h"
#include "transport/fabric/ucx/ucx_fabric_impl.h"

namespace pinboard::transport {
namespace {

// While UCX holds sends back it cannot be waited for: look again at once, as the receiver is about
// to take some, and where it does not, after this long.
constexpr int kLooksAtOnce = 50;
/// How long WaitUntil polls before it sleeps. Ranks may outnumber cores: microseconds.
constexpr absl::Duration kSpin = absl::Microseconds(5);
constexpr absl::Duration kShortestNap = absl::Microseconds(20);
constexpr absl::Duration kLongestNap = absl::Microseconds(200);

}  // namespace

absl::StatusOr<std::unique_ptr<Fabric>> MakeUcxFabric(const UcxFabricOptions& options) {
  PB_ASSIGN_OR_RETURN(auto context, UcxContext::Create());
  return std::make_unique<UcxFabric>(options, std::move(context));
}

UcxFabric::UcxFabric(const UcxFabricOptions& options, std::shared_ptr<const UcxContext> context)
    : options_(options), context_(std::move(context)) {}

UcxFabric::~UcxFabric() {
  std::vector<Connected> connecting;
  operations_.AbandonAll(absl::CancelledError("the fabric was destroyed"));
  for (auto& [id, peer] : peers_) {
    if (peer->connected) connecting.push_back(std::move(peer->connected));
    MarkGone(*peer, absl::CancelledError("the fabric was destroyed"));
    CloseEndpoint(*peer);
  }
  peers_.clear();  // messages may lie in the worker's memory
  // Then the workers: after them nothing reads the memory of operations under way.
  receivers_.clear();
  while (operations_.RunDue()) {
  }
  for (const Connected& connected : connecting) {
    connected(absl::CancelledError("the fabric was destroyed"));
  }
}

absl::StatusOr<std::string> UcxFabric::Listen(const std::string& address) {
  PB_ASSIGN_OR_RETURN(auto listening, ListenTcp(address));
  if (listener_.valid()) events_.Remove(listener_.get());
  listener_ = std::move(listening.fd);
  events_.Add(listener_.get(), kListenerToken, EventSet::Interest::kRead);
  return listening.address;
}

absl::StatusOr<PeerId> UcxFabric::Connect(const std::string& address, absl::Time deadline) {
  std::optional<absl::StatusOr<PeerId>> outcome;
  StartConnect(address, deadline,
               [&outcome](absl::StatusOr<PeerId> connected) { outcome = std::move(connected); });
  while (!outcome.has_value()) WaitUntil(deadline);
  return *std::move(outcome);
}

void UcxFabric::StartConnect(const std::string& address, absl::Time deadline, Connected connected) {
  absl::StatusOr<UniqueFd> fd = StartConnectTcp(address);
  if (!fd.ok()) {
    return operations_.EndAtOnce([connected](const absl::Status& why) { connected(why); },
                                 fd.status());
  }
  UcxPeer& peer = *AddPeer(*std::move(fd));
  peer.state = PeerState::kConnecting;
  peer.outgoing = true;
  peer.address = address;
  peer.connected = std::move(connected);
  peer.deadline = deadline;
  events_.Add(peer.link.fd(), peer.id.value(), EventSet::Interest::kWrite);
}

void UcxFabric::OnMessage(std::uint8_t type, MessageHandler handler) {
  on_message_.at(type) = std::move(handler);
}

void UcxFabric::OnAccepted(std::function<void(PeerId)> handler) {
  on_accepted_ = std::move(handler);
}

std::string UcxFabric::AddressOf(PeerId id) const {
  const auto peer = peers_.find(id);
  return peer == peers_.end() ? "" : peer->second->address;
}

void UcxFabric::OnClosed(PeerHandler handler) { on_closed_ = std::move(handler); }

bool UcxFabric::Progress() {
  bool any = HandleEvents(absl::ZeroDuration());
  any |= DrainWorkers();
  EndBroken();
  any |= AnswerAccesses();
  any |= DispatchMessages();
  any |= operations_.RunDue();
  any |= Reap();
  return any;
}

void UcxFabric::WaitUntil(absl::Time deadline) {
  const absl::Time spin_end = std::min(deadline, SteadyNow() + kSpin);
  do {
    if (Progress() || events_.TakeWoken()) return;
  } while (SteadyNow() < spin_end);
  absl::Duration nap = kShortestNap;
  for (int looks = 0; !ArmWorkers(); ++looks) {
    if (Progress() || events_.TakeWoken() || SteadyNow() >= deadline) return;
    if (looks < kLooksAtOnce) {
      std::this_thread::yield();
      continue;
    }
    absl::SleepFor(nap);
    nap = std::min(nap * 2, kLongestNap);
  }
  HandleEvents(NextTimer(deadline) - SteadyNow());
  Progress();
  events_.TakeWoken();
}

}  // namespace pinboard::transport
