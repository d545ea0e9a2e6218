// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstdlib>
#include <random>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "transport/fabric/ucx/shared_memory.h"
#include "transport/fabric/ucx/tcp_socket.h"
#include "transport/fabric/ucx/ucx_fabric_impl.h"
#include "transport/fabric/ucx/ucx_status.h"

namespace pinboard::transport {
namespace {

// Strangers that connect and say nothing cannot use up the descriptors.
constexpr std::size_t kMaxGreetings = 64;
// Where there are none left UCX closes its own listeners for good.
constexpr std::size_t kDescriptorsOfPeer = 12;
constexpr std::size_t kOtherDescriptors = 64;
constexpr absl::Duration kListeningPause = absl::Milliseconds(100);
// Nothing of it waits for the network.
constexpr absl::Duration kLongestCancel = absl::Seconds(1);

}  // namespace

UcxPeer* UcxFabric::Find(PeerId id) {
  const auto found = peers_.find(id);
  return found == peers_.end() ? nullptr : found->second.get();
}

UcxPeer* UcxFabric::FindOpen(PeerId id) {
  UcxPeer* peer = Find(id);
  return peer != nullptr && peer->state == PeerState::kOpen ? peer : nullptr;
}

UcxPeer* UcxFabric::AddPeer(UniqueFd fd) {
  const PeerId id(next_peer_++);
  auto peer = std::make_unique<UcxPeer>(id, std::move(fd), std::random_device{}());
  UcxPeer* added = peer.get();
  peers_.emplace(id, std::move(peer));
  greeting_.push_back(id);
  return added;
}

void UcxFabric::Accept() {
  while (true) {
    AddressedSocket accepted = AcceptTcp(listener_.get());
    if (!accepted.fd.valid()) {
      if (errno == EMFILE || errno == ENFILE) PauseListening();
      return;
    }
    if (!HasDescriptorsForPeer()) {
      refused_log_.Write(LogLevel::kWarning, "a connection from ", accepted.address,
                         " is refused: ", peers_.size(),
                         " peers use up the descriptors (ulimit -n)");
      continue;
    }
    MakeRoomForGreeting();
    UcxPeer* peer = AddPeer(std::move(accepted.fd));
    peer->address = std::move(accepted.address);
    peer->deadline = SteadyNow() + options_.handshake_timeout;
    events_.Add(peer->link.fd(), peer->id.value(), EventSet::Interest::kRead);
  }
}

void UcxFabric::PauseListening() {
  pause_log_.Write(LogLevel::kWarning,
                   "connections wait: there are no descriptors left (ulimit -n)");
  events_.Remove(listener_.get());
  listens_again_ = SteadyNow() + kListeningPause;
}

bool UcxFabric::HasDescriptorsForPeer() const {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  return (peers_.size() + 1) * kDescriptorsOfPeer + kOtherDescriptors <= limit.rlim_cur;
}

void UcxFabric::MakeRoomForGreeting() {
  if (greeting_.size() < kMaxGreetings) return;
  const auto oldest = std::find_if(greeting_.begin(), greeting_.end(),
                                   [this](PeerId id) { return !Find(id)->outgoing; });
  if (oldest == greeting_.end()) return;
  Find(*oldest)->reason = absl::ResourceExhaustedError("too many others came after it");
  Finish(*oldest);
}

bool UcxFabric::HandleEvents(absl::Duration timeout) {
  bool any = false;
  const std::vector<std::uint64_t> tokens = events_.Wait(timeout);
  for (const std::uint64_t token : tokens) {
    if (token == kWorkerToken) continue;
    any = true;
    if (token == kListenerToken) {
      Accept();
    } else if (UcxPeer* peer = Find(PeerId(static_cast<std::uint32_t>(token)))) {
      HandlePeerEvent(*peer);
    }
  }
  return any;
}

void UcxFabric::HandlePeerEvent(UcxPeer& peer) {
  if (peer.state == PeerState::kConnecting) return Greet(peer);
  absl::Status received = peer.link.Receive();
  if (auto hello = peer.link.TakeHello()) {
    if (peer.state == PeerState::kGreeting) {
      if (absl::Status opened = Open(peer, *hello); !opened.ok()) return MarkGone(peer, opened);
    } else {
      received.Update(absl::InvalidArgumentError("a second Hello"));
    }
  }
  if (const auto goodbye = peer.link.TakeGoodbye()) {
    peer.messages_expected = goodbye->messages_sent;
    // If it has not sent as many, nothing will come.
    peer.deadline = std::min(peer.deadline, SteadyNow() + options_.handshake_timeout);
    StartClosing(peer, absl::UnavailableError(
                           absl::StrCat("peer ", peer.id.value(), " closed the connection")));
  }
  if (!received.ok()) MarkGone(peer, std::move(received));
}

void UcxFabric::Greet(UcxPeer& peer) {
  absl::Status outcome = ConnectOutcome(peer.link.fd(), peer.address);
  if (outcome.ok()) outcome = GiveWorker(peer);
  if (outcome.ok()) {
    outcome =
        peer.link.SendHello({peer.id.value(), peer.nonce, HostIdentity(), peer.worker->address()});
  }
  if (!outcome.ok()) return MarkGone(peer, std::move(outcome));
  peer.state = PeerState::kGreeting;
  events_.ChangeToRead(peer.link.fd(), peer.id.value());
}

absl::Status UcxFabric::Open(UcxPeer& peer, const Hello& hello) {
  // UCX offers shared memory only without its own peer error handling. There the socket tells us of
  // a death; over a network UCX must also give up what it has under way, else it aborts.
  peer.shares_memory = hello.host == HostIdentity() && AllowsSharedMemory(std::getenv("UCX_TLS"));
  if (!peer.outgoing) PB_RETURN_IF_ERROR(GiveWorker(peer));
  PB_RETURN_IF_ERROR(CreateEndpoint(peer, hello));
  if (!peer.outgoing) {
    PB_RETURN_IF_ERROR(
        peer.link.SendHello({peer.id.value(), peer.nonce, HostIdentity(), peer.worker->address()}));
  }
  peer.state = PeerState::kOpen;
  // UCX 1.13 aborts the process where a peer dies before their endpoints have met, and never sleeps
  // while one of them has not answered: let them meet.
  StartFlush(peer, [this, id = peer.id](const absl::Status& met) { EndpointsMet(id, met); });
  return absl::OkStatus();
}

void UcxFabric::EndpointsMet(PeerId id, const absl::Status& status) {
  UcxPeer* peer = Find(id);
  if (peer == nullptr || peer->state == PeerState::kGone) return;  // Finish says so
  if (!status.ok()) return MarkGone(*peer, status);
  std::erase(greeting_, id);
  if (peer->state == PeerState::kOpen) peer->deadline = absl::InfiniteFuture();
  peer->was_open = true;
  Queue(*peer);
  if (peer->outgoing) return std::exchange(peer->connected, nullptr)(id);
  if (on_accepted_) on_accepted_(id);
}

absl::Status UcxFabric::CreateEndpoint(UcxPeer& peer, const Hello& hello) {
  // UCX asserts that it knows the form of an address, which its first bits tell.
  constexpr std::byte kForm{0xf};
  const std::vector<std::byte>& own = peer.worker->address();
  if (hello.worker.empty() || (hello.worker.front() & kForm) != (own.front() & kForm)) {
    return absl::InvalidArgumentError("an address of a worker of another UCX");
  }
  peer.remote_id = hello.peer_id;
  peer.remote_nonce = hello.nonce;
  ucp_ep_params_t params{};
  params.field_mask = UCP_EP_PARAM_FIELD_REMOTE_ADDRESS | UCP_EP_PARAM_FIELD_ERR_HANDLING_MODE |
                      UCP_EP_PARAM_FIELD_ERR_HANDLER;
  params.address = reinterpret_cast<const ucp_address_t*>(hello.worker.data());
  params.err_mode = peer.shares_memory ? UCP_ERR_HANDLING_MODE_NONE : UCP_ERR_HANDLING_MODE_PEER;
  params.err_handler = {&UcxFabric::EndpointFailed, this};
  const ucs_status_t created = ucp_ep_create(peer.worker->get(), &params, &peer.endpoint);
  return UcxStatus(created, "cannot reach the peer (UCX_TLS and UCX_NET_DEVICES of both sides)");
}

void UcxFabric::EndpointFailed(void* fabric, ucp_ep_h endpoint, ucs_status_t status) {
  auto* self = static_cast<UcxFabric*>(fabric);
  for (const auto& [id, peer] : self->peers_) {
    if (peer->endpoint == endpoint) {
      return self->MarkGone(*peer, UcxStatus(status, "the connection broke"));
    }
  }
}

void UcxFabric::StartClosing(UcxPeer& peer, absl::Status reason) {
  if (peer.state != PeerState::kOpen) return;
  peer.state = PeerState::kClosing;
  peer.reason = std::move(reason);
  leaving_.push_back(peer.id);
}

void UcxFabric::MarkGone(UcxPeer& peer, absl::Status reason) {
  if (peer.state == PeerState::kGone) return;
  if (peer.state != PeerState::kClosing) leaving_.push_back(peer.id);
  if (peer.reason.ok()) {
    peer.reason = peer.was_open ? absl::UnavailableError(absl::StrCat(
                                      "peer ", peer.id.value(), " is gone: ", reason.message()))
                                : std::move(reason);
  }
  peer.state = PeerState::kGone;
  events_.Remove(peer.link.fd());
}

void UcxFabric::Close(PeerId id) {
  UcxPeer* peer = Find(id);
  if (peer == nullptr) return;
  peer->closed_here = true;  // also where it leaves by itself: no more of its messages
  if (peer->state != PeerState::kOpen) return;
  peer->deadline = SteadyNow() + options_.handshake_timeout;
  StartFlush(*peer, [](const absl::Status&) {});  // what was sent has left before the goodbye
  StartClosing(*peer, absl::CancelledError("the connection was closed on this side"));
}

bool UcxFabric::Reap() {
  const bool timed =
      !greeting_.empty() || !leaving_.empty() || listens_again_ < absl::InfiniteFuture();
  const absl::Time now = timed ? SteadyNow() : absl::InfinitePast();
  if (timed && now >= listens_again_) {
    listens_again_ = absl::InfiniteFuture();
    events_.Add(listener_.get(), kListenerToken, EventSet::Interest::kRead);
  }
  for (const std::vector<PeerId>& waiting : {greeting_, leaving_}) {
    for (const PeerId id : waiting) {
      UcxPeer& peer = *Find(id);
      if (now < peer.deadline) continue;
      if (peer.reason.ok()) {
        peer.reason =
            absl::DeadlineExceededError(absl::StrCat("no answer from ", peer.address, " in time"));
      }
      MarkGone(peer, peer.reason);
    }
  }
  bool any = false;
  for (const PeerId id : std::vector<PeerId>(leaving_)) {
    if (!ReadyToLeave(*Find(id))) continue;
    Finish(id);
    any = true;
  }
  return any;
}

bool UcxFabric::ReadyToLeave(UcxPeer& peer) {
  if (peer.state == PeerState::kGone) {
    return peer.worker == nullptr || (peer.worker->drained() && !peer.queued);
  }
  const bool delivered =
      peer.closed_here || (peer.messages_expected && peer.inbox.taken() >= *peer.messages_expected);
  if (!delivered || operations_.Outstanding(peer.id) > 0) return false;
  if (!std::exchange(peer.said_goodbye, true) &&
      !peer.link.SendGoodbye({peer.messages_sent}).ok()) {
    return true;
  }
  return peer.messages_expected.has_value();
}

void UcxFabric::Finish(PeerId id) {
  const auto node = peers_.extract(id);
  UcxPeer& peer = *node.mapped();
  std::erase(greeting_, id);
  std::erase(leaving_, id);
  events_.Remove(peer.link.fd());
  operations_.Abandon(id, peer.reason);
  peer.inbox = {};  // messages may lie in the worker's memory
  CloseEndpoint(peer);
  RemoveWorker(std::exchange(peer.worker, nullptr));
  operations_.RunDue();
  if (const Connected connected = std::exchange(peer.connected, nullptr)) {
    connected(peer.reason);
  } else if (!peer.was_open) {
    unopened_log_.Write(LogLevel::kInfo, "a connection from ", peer.address,
                        " ended before it was open: ", std::string(peer.reason.message()));
  } else if (on_closed_) {
    on_closed_(id, peer.reason);
  }
}

void UcxFabric::CloseEndpoint(UcxPeer& peer) {
  EndAccesses(peer);
  if (peer.endpoint == nullptr) return;
  const bool force = !peer.shares_memory && peer.state == PeerState::kGone;
  ucp_request_param_t param{};
  param.op_attr_mask = UCP_OP_ATTR_FIELD_FLAGS;
  param.flags = force ? UCP_EP_CLOSE_FLAG_FORCE : 0;
  // If it cannot flush to a dead process, it stays until the worker is destroyed, which requires
  // that the request has been given back.
  const ucs_status_ptr_t request = ucp_ep_close_nbx(std::exchange(peer.endpoint, nullptr), &param);
  if (UCS_PTR_IS_PTR(request)) ucp_request_free(request);
  // UCX aborts where a worker is destroyed before what was cancelled has ended.
  const absl::Time limit = SteadyNow() + kLongestCancel;
  while (force && operations_.HasOpenParts(peer.id) && SteadyNow() < limit) peer.worker->Progress();
}

absl::Time UcxFabric::NextTimer(absl::Time deadline) const {
  for (const std::vector<PeerId>* waiting : {&greeting_, &leaving_}) {
    for (const PeerId id : *waiting) deadline = std::min(deadline, peers_.at(id)->deadline);
  }
  return std::min(deadline, listens_again_);
}

}  // namespace pinboard::transport
