// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/replication/peer_link.h"

#include <algorithm>
#include <random>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "cache_service/protocol/negotiation.h"
#include "cache_service/protocol/process_identity.h"

namespace pinboard::cache_service {
namespace {

using transport::PeerId;

constexpr absl::Duration kFirstRest = absl::Milliseconds(50);
constexpr absl::Duration kLongestRest = absl::Seconds(1);
// TCP sends what opens a connection again after a second, and then not for two.
constexpr absl::Duration kLongestAttempt = absl::Seconds(2);

}  // namespace

GroupId MemberGroup() {
  static const std::uint64_t group = [] {
    std::random_device device;
    return std::uint64_t{device()} << 32 | device();
  }();
  return GroupId(group);
}

PeerLink::PeerLink(transport::Fabric& fabric, ReplyRouter& router,
                   std::vector<ServiceConnectionPtr>& ended, std::string address, Introduce self,
                   Keys keys, absl::Duration answer_timeout, Handlers handlers)
    : fabric_(fabric),
      router_(router),
      ended_(ended),
      address_(std::move(address)),
      self_(std::move(self)),
      keys_(std::move(keys)),
      answer_timeout_(answer_timeout),
      handlers_(std::move(handlers)),
      rest_(kFirstRest),
      self_pointer_(std::make_shared<PeerLink*>(this)) {}

PeerLink::~PeerLink() {
  *self_pointer_ = nullptr;
  if (connection_ == nullptr) return;
  router_.Remove(connection_->peer());
  LetGoOf(ended_, Up());
  // Also while it is read over: what is pinned stays until the connection is closed. The next link
  // says it again, as it may not arrive.
  if (up()) {
    connection_->Send(0, Goodbye{connection_->welcome().client});
    ended_.push_back(connection_);
  }
  connection_->SetLost();
  fabric_.Close(connection_->peer());
}

void PeerLink::Tick(absl::Time now) {
  LetGoOf(ended_, Up());
  if (now < next_) return;
  if (state_ == State::kResting) return Connect(now);
  if (state_ == State::kGreeting) {
    Leave(absl::DeadlineExceededError("it does not answer"));
  }
}

void PeerLink::Connect(absl::Time now) {
  state_ = State::kConnecting;
  tried_ = now;
  next_ = absl::InfiniteFuture();  // the fabric keeps the deadline
  fabric_.StartConnect(
      address_, now + std::min(answer_timeout_, kLongestAttempt),
      [&fabric = fabric_, self = self_pointer_](const absl::StatusOr<PeerId>& peer) {
        if (*self != nullptr) return (*self)->OnConnected(peer);
        if (peer.ok()) fabric.Close(*peer);
      });
}

void PeerLink::OnConnected(const absl::StatusOr<PeerId>& peer) {
  if (!peer.ok()) return Rest(peer.status());
  absl::StatusOr<std::optional<Credentials>> shown = keys_();
  if (!shown.ok()) {
    fabric_.Close(*peer);
    return Rest(shown.status());
  }
  Hello hello;
  hello.features = kMemberFeatures | (shown->has_value() ? kFeatureChallenge : 0);
  hello.group = MemberGroup().value();
  hello.process = CurrentProcess();
  hello.name = absl::StrCat("member ", self_.member);
  connection_ = std::make_shared<ServiceConnection>(fabric_, *peer, address_, std::move(hello),
                                                    nullptr, *std::move(shown));
  state_ = State::kGreeting;
  next_ = SteadyNow() + answer_timeout_;
  router_.Add(*peer, *this);
  connection_->Greet();
}

absl::Status PeerLink::OnReply(const Envelope<Challenge>& envelope) {
  PB_RETURN_IF_ERROR(connection_->OnChallenge(envelope.message));
  ContinueGreeting();
  return absl::OkStatus();
}

absl::Status PeerLink::OnReply(const Envelope<Welcome>& envelope) {
  PB_RETURN_IF_ERROR(connection_->OnWelcome(envelope.message));
  ContinueGreeting();
  return absl::OkStatus();
}

absl::Status PeerLink::OnReply(const Envelope<Segments>& envelope) {
  PB_RETURN_IF_ERROR(connection_->OnSegments(envelope.message));
  ContinueGreeting();
  return absl::OkStatus();
}

void PeerLink::ContinueGreeting() {
  if (state_ != State::kGreeting || !connection_->greeted().has_value()) return;
  absl::Status greeted = *connection_->greeted();
  if (greeted.ok() && (connection_->welcome().features & kFeaturePeers) == 0) {
    greeted = absl::FailedPreconditionError("its build knows nothing of copies: update it");
  }
  if (!greeted.ok()) return Leave(greeted);
  state_ = State::kUp;
  next_ = absl::InfiniteFuture();
  connection_->Send(0, self_);
  handlers_.up();
}

absl::Status PeerLink::CheckUp() const {
  if (up()) return absl::OkStatus();
  return absl::FailedPreconditionError("a message before the greeting's end");
}

absl::Status PeerLink::OnReply(const Envelope<Withdrawn>& envelope) {
  PB_RETURN_IF_ERROR(CheckUp());
  connection_->OnWithdrawn(envelope.message);
  return absl::OkStatus();
}

absl::Status PeerLink::OnReply(const Envelope<LeaseReply>&) {
  return absl::FailedPreconditionError("a lease that was not asked for");
}

absl::Status PeerLink::OnReply(PageListReader<FetchReply>& pages) {
  PB_RETURN_IF_ERROR(CheckUp());
  return OnFetched(pages.request, pages.TakeAll());
}

absl::Status PeerLink::OnReply(PageListReader<FetchHits>&) {
  return absl::FailedPreconditionError("pages without their whole headers");
}

absl::Status PeerLink::OnReply(const Envelope<FetchMisses>& envelope) {
  PB_RETURN_IF_ERROR(CheckUp());
  std::vector<FetchedPage> missed;
  for (const MissedPage& page : envelope.message.pages) {
    if (page.miss == MissCause::kNone) return absl::InvalidArgumentError("a miss without a cause");
    missed.push_back({.index = page.index, .miss = page.miss});
  }
  return OnFetched(envelope.request, missed);
}

absl::Status PeerLink::OnFetched(std::uint64_t request,
                                 const std::vector<FetchedPage>& pages) const {
  if (handlers_.fetched(request, pages)) return absl::OkStatus();
  return absl::InvalidArgumentError("it answered what it was not asked");
}

absl::Status PeerLink::OnReply(const Envelope<Error>& envelope) {
  PB_RETURN_IF_ERROR(connection_->OnError(envelope.message));
  if (up()) {
    Leave(absl::UnavailableError(envelope.message.text));
  } else {
    ContinueGreeting();
  }
  return absl::OkStatus();
}

absl::Status PeerLink::OnReply(const Envelope<PeerGroups>& envelope) {
  PB_RETURN_IF_ERROR(CheckUp());
  rest_ = kFirstRest;  // it takes this one for a member
  if (std::exchange(said_down_, false)) LogInfo("connected to member ", address_, " again");
  handlers_.groups(envelope.message);
  return absl::OkStatus();
}

absl::Status PeerLink::OnReply(const Envelope<Offer>& envelope) {
  PB_RETURN_IF_ERROR(CheckUp());
  handlers_.offer(envelope.message);
  return absl::OkStatus();
}

absl::Status PeerLink::OnReply(const Envelope<PeerDrop>& envelope) {
  PB_RETURN_IF_ERROR(CheckUp());
  handlers_.drop(envelope.message);
  return absl::OkStatus();
}

absl::Status PeerLink::OnReply(const Envelope<PeerDropSequence>& envelope) {
  PB_RETURN_IF_ERROR(CheckUp());
  handlers_.drop_sequence(envelope.message);
  return absl::OkStatus();
}

void PeerLink::OnBroken(const absl::Status& why) {
  if (!absl::IsUnavailable(why)) handlers_.broken();  // else it died before its memory was mapped
  Leave(why);
}

void PeerLink::Suspect(const std::string& why) {
  if (up()) Leave(absl::DeadlineExceededError(why));
}

void PeerLink::Leave(const absl::Status& why) {
  const PeerId peer = connection_->peer();
  router_.Remove(peer);
  fabric_.Close(peer);
  Rest(why);
}

void PeerLink::Rest(const absl::Status& why) {
  const bool was_up = up();
  if (connection_ != nullptr) connection_->SetLost();
  if (was_up) ended_.push_back(connection_);
  connection_ = nullptr;
  state_ = State::kResting;
  next_ = std::max(tried_ + rest_, SteadyNow() + kFirstRest);
  rest_ = std::min(rest_ * 2, kLongestRest);
  if (!std::exchange(said_down_, true)) {
    LogWarning("no connection to member ", address_, ": ", std::string(why.message()),
               "; tried again until there is one");
  }
  if (was_up) handlers_.down();
}

}  // namespace pinboard::cache_service
