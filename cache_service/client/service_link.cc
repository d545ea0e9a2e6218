// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/client/service_link.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "cache_service/client/connect.h"
#include "cache_service/protocol/negotiation.h"
#include "cache_service/protocol/process_identity.h"

namespace pinboard::cache_service {
namespace {

using transport::PeerId;

// A service that takes nothing in is treated as one that is not there.
constexpr std::size_t kMaxWaiting = 1024;
// More stay in the service until their group ends.
constexpr std::size_t kMostDroppedSequences = 65'536;

}  // namespace

ServiceLink::ServiceLink(transport::Fabric& fabric, ReplyRouter& router, std::string address,
                         PageStoreOptions options, Handlers handlers, Releaser& pins)
    : fabric_(fabric),
      router_(router),
      address_(std::move(address)),
      options_(std::move(options)),
      process_(CurrentProcess()),
      closed_(std::move(handlers.closed)),
      writes_(address_, std::move(handlers.leased)),
      reads_(address_, pins) {}

ServiceLink::~ServiceLink() {
  for (const ServiceConnectionPtr& connection : {greeting_, current_}) {
    if (connection == nullptr) continue;
    router_.Remove(connection->peer());
    connection->Abandon();
  }
  for (const ServiceConnectionPtr& connection : ended_) connection->Abandon();
}

absl::Status ServiceLink::Connect(absl::Time deadline, const MemoryRegistrar& register_memory) {
  PB_ASSIGN_OR_RETURN(const PeerId peer, ConnectToService(fabric_, address_, deadline));
  Greet(peer, register_memory);
  while (greeting_ != nullptr && SteadyNow() < deadline) fabric_.WaitUntil(deadline);
  if (greeting_ != nullptr) EndGreeting(DoesNotAnswer(address_));
  return greeted_;
}

void ServiceLink::Greet(PeerId peer, const MemoryRegistrar& register_memory) {
  Hello hello;
  hello.features = kFeatures | (options_.credentials.has_value() ? kFeatureChallenge : 0);
  hello.group = options_.group;
  hello.process = process_;
  hello.name = options_.name;
  greeting_ = std::make_shared<ServiceConnection>(fabric_, peer, address_, std::move(hello),
                                                  register_memory, options_.credentials);
  router_.Add(peer, *this);
  greeting_->Greet();
}

void ServiceLink::EndGreeting(const absl::Status& outcome) {
  const ServiceConnectionPtr connection = std::exchange(greeting_, nullptr);
  greeted_ = outcome;
  if (outcome.ok()) {
    current_ = connection;
    writes_.Connected(connection);
    reads_.Connected(connection);
    const std::uint64_t before = std::exchange(incarnation_, connection->welcome().incarnation);
    if (before != incarnation_) dropped_sequences_.clear();
    SendDroppedSequences();
    return;
  }
  router_.Remove(connection->peer());
  connection->Abandon();
  fabric_.Close(connection->peer());
}

absl::Status ServiceLink::OnReply(const Envelope<Challenge>& envelope) {
  PB_RETURN_IF_ERROR(partner().OnChallenge(envelope.message));
  ContinueGreeting();
  return absl::OkStatus();
}

absl::Status ServiceLink::OnReply(const Envelope<Welcome>& envelope) {
  PB_RETURN_IF_ERROR(partner().OnWelcome(envelope.message));
  ContinueGreeting();
  return absl::OkStatus();
}

absl::Status ServiceLink::OnReply(const Envelope<Segments>& envelope) {
  ServiceConnection& connection = partner();
  PB_RETURN_IF_ERROR(connection.OnSegments(envelope.message));
  if (!connection.mapped()) SayOnceThatPagesAreCopied(connection.same_host());
  if (!connection.unusable().ok()) {
    End(connection.unusable());
  } else {
    ContinueGreeting();
  }
  return absl::OkStatus();
}

absl::Status ServiceLink::OnReply(const Envelope<Withdrawn>& envelope) {
  PB_RETURN_IF_ERROR(Hear());
  current_->OnWithdrawn(envelope.message);
  return absl::OkStatus();
}

absl::Status ServiceLink::OnReply(const Envelope<LeaseReply>& envelope) {
  PB_RETURN_IF_ERROR(Hear());
  return writes_.OnLeaseReply(envelope);
}

absl::Status ServiceLink::OnReply(PageListReader<FetchReply>& pages) {
  PB_RETURN_IF_ERROR(Hear());
  return reads_.OnFetchReply(pages);
}

absl::Status ServiceLink::OnReply(PageListReader<FetchHits>& pages) {
  PB_RETURN_IF_ERROR(Hear());
  return reads_.OnFetchHits(pages);
}

absl::Status ServiceLink::OnReply(const Envelope<FetchMisses>& envelope) {
  PB_RETURN_IF_ERROR(Hear());
  return reads_.OnFetchMisses(envelope);
}

absl::Status ServiceLink::OnReply(const Envelope<Error>& envelope) {
  PB_RETURN_IF_ERROR(partner().OnError(envelope.message));
  if (greeting_ == nullptr) {
    End(absl::UnavailableError(envelope.message.text));
  } else {
    ContinueGreeting();
  }
  return absl::OkStatus();
}

absl::Status ServiceLink::Hear() {
  if (current_ == nullptr) {
    return absl::FailedPreconditionError("a reply before the greeting's end");
  }
  current_->Heard();
  return absl::OkStatus();
}

void ServiceLink::ContinueGreeting() {
  if (greeting_ != nullptr && greeting_->greeted()) EndGreeting(*greeting_->greeted());
}

void ServiceLink::OnBroken(const absl::Status& why) {
  if (absl::IsUnavailable(why)) return End(why);  // died before its memory was mapped
  ++protocol_errors_;
  End(absl::UnavailableError(absl::StrCat("the cache service at ", address_,
                                          " broke the protocol: ", std::string(why.message()))));
}

void ServiceLink::End(const absl::Status& reason) {
  if (greeting_ != nullptr) return EndGreeting(reason);
  const PeerId peer = current_->peer();
  router_.Remove(peer);
  fabric_.Close(peer);
  OnClosed(reason);
}

void ServiceLink::OnClosed(const absl::Status& reason) {
  if (greeting_ != nullptr) return EndGreeting(reason);
  current_->SetLost();
  ended_.push_back(std::exchange(current_, nullptr));
  const absl::Status gone = absl::UnavailableError(
      absl::StrCat("the cache service at ", address_, " is gone: ", std::string(reason.message())));
  writes_.Lost(gone);
  reads_.Lost(gone);
  closed_(gone);
}

void ServiceLink::SayOnceThatPagesAreCopied(bool mapping_expected) {
  if (std::exchange(said_copied_, true)) return;
  if (mapping_expected) {
    LogWarning("the memory of the cache service at ", address_,
               " cannot be mapped though it is on this host: pages are copied (UCX_TLS must allow "
               "shared memory, and both run as one user)");
  } else {
    LogInfo("the cache service at ", address_, " is on another host: pages are copied");
  }
}

bool ServiceLink::Congested() const {
  return current_ != nullptr && current_->sends_in_flight() + writes_.waiting() > kMaxWaiting;
}

void ServiceLink::Lease(std::uint64_t request, std::uint32_t count, std::uint64_t bytes) {
  SendUnpins();  // it may need the room
  writes_.Lease(request, count, bytes);
}

void ServiceLink::Publish(std::vector<PageToPublish> pages) { writes_.Publish(std::move(pages)); }

void ServiceLink::Fetch(std::vector<PageRef> pages, absl::Time deadline) {
  while (pages.size() > kMaxListElements) {
    const auto last = pages.end() - kMaxListElements;
    FetchTogether({last, pages.end()}, deadline);
    pages.erase(last, pages.end());
  }
  if (!pages.empty()) FetchTogether(std::move(pages), deadline);
}

void ServiceLink::FetchTogether(std::vector<PageRef> pages, absl::Time deadline) {
  const std::uint64_t request = reads_.Add(std::move(pages), deadline);
  if (current_ == nullptr) {
    reads_.Refuse(request, NotConnected(address_));
  } else if (Congested()) {
    reads_.Refuse(request, absl::UnavailableError(absl::StrCat("the cache service at ", address_,
                                                               " takes no requests in")));
  } else {
    writes_.InOrder([this, request] { reads_.Send(request); });
  }
}

void ServiceLink::Drop(const std::vector<PageRef>& pages) {
  if (Congested()) return;  // what is not dropped leaves in its turn
  writes_.InOrder([this, pages] {
    if (current_ != nullptr) current_->SendInBatches(&cache_service::Drop::pages, pages);
  });
}

void ServiceLink::DropSequence(std::uint64_t sequence) {
  KeepDroppedSequence(sequence);
  SendDroppedSequences();
}

void ServiceLink::KeepDroppedSequence(std::uint64_t sequence) {
  if (dropped_sequences_.size() < kMostDroppedSequences) dropped_sequences_.push_back(sequence);
}

void ServiceLink::SendDroppedSequences() {
  while (!dropped_sequences_.empty() && current_ != nullptr && !Congested()) {
    const std::uint64_t sequence = dropped_sequences_.front();
    dropped_sequences_.pop_front();
    writes_.InOrder([this, sequence] {
      if (current_ == nullptr) return KeepDroppedSequence(sequence);
      current_->Send(0, cache_service::DropSequence{sequence});
    });
  }
}

void ServiceLink::Tick(absl::Time now) {
  reads_.Expire(now);
  writes_.GiveBackIdle(now);
  SendDroppedSequences();
  LetGoOf(ended_, current_.get());
}

void ServiceLink::Shutdown(absl::Time deadline) {
  // Else the service would keep the group of a lost connection as long as this process lives.
  if (current_ == nullptr && !ended_.empty()) Connect(deadline, nullptr).IgnoreError();
  LetGoOf(ended_, current_.get());
  if (current_ == nullptr) return;
  current_->Send(0, Goodbye{current_->welcome().client});
  fabric_.Close(current_->peer());
  while (current_ != nullptr && SteadyNow() < deadline) fabric_.WaitUntil(deadline);
}

}  // namespace pinboard::cache_service
