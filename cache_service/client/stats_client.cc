// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/client/stats_client.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/status_macros.h"
#include "cache_service/client/connect.h"
#include "cache_service/protocol/negotiation.h"
#include "cache_service/protocol/process_identity.h"
#include "cache_service/protocol/send_message.h"
#include "cache_service/remote_page_store.h"

namespace pinboard::cache_service {

using transport::PeerId;

namespace {

Hello MakeHello(const std::string& name, bool has_credentials) {
  // One for all of a process: where a connection is lost the next one takes its place.
  static const std::uint64_t group = NewGroupId();
  Hello hello;
  hello.features = kFeatureInspection | (has_credentials ? kFeatureChallenge : 0);
  hello.group = group;
  hello.process = CurrentProcess();
  hello.name = name;
  return hello;
}

}  // namespace

StatsClient::StatsClient(std::unique_ptr<transport::Fabric> fabric, std::string address,
                         const std::string& name, std::optional<Credentials> credentials)
    : address_(std::move(address)),
      greeting_(MakeHello(name, credentials.has_value()), credentials, address_),
      fabric_(std::move(fabric)) {
  Register(&StatsClient::OnChallenge);
  Register(&StatsClient::OnWelcome);
  Register(&StatsClient::OnReply<StatsReply, &StatsClient::counts_>);
  Register(&StatsClient::OnReply<InspectReply, &StatsClient::extents_>);
  Register(&StatsClient::OnError);
  fabric_->OnClosed([this](PeerId peer, const absl::Status& reason) {
    if (peer != peer_) return;
    EndWith(absl::UnavailableError(absl::StrCat("the cache service at ", address_,
                                                " is gone: ", std::string(reason.message()))));
  });
}

template <typename Message>
void StatsClient::Register(absl::Status (StatsClient::*handler)(const Envelope<Message>&)) {
  fabric_->OnMessage(
      static_cast<std::uint8_t>(Message::kType),
      [this, handler](PeerId /*from*/, absl::Span<const std::byte> payload) {
        const absl::StatusOr<Envelope<Message>> envelope = DecodeMessage<Message>(payload);
        const absl::Status status = envelope.ok() ? (this->*handler)(*envelope) : envelope.status();
        if (status.ok()) return;
        EndWith(BrokeTheProtocol(std::string(status.message())));
      });
}

absl::StatusOr<std::unique_ptr<StatsClient>> StatsClient::Connect(
    std::unique_ptr<transport::Fabric> fabric, const std::string& address, const std::string& name,
    std::optional<Credentials> credentials, absl::Time deadline) {
  auto client = std::unique_ptr<StatsClient>(
      new StatsClient(std::move(fabric), address, name, std::move(credentials)));
  PB_RETURN_IF_ERROR(client->Greet(deadline));
  return client;
}

absl::Status StatsClient::BrokeTheProtocol(const std::string& how) const {
  return absl::UnavailableError(
      absl::StrCat("the cache service at ", address_, " broke the protocol: ", how));
}

absl::Status StatsClient::Greet(absl::Time deadline) {
  PB_ASSIGN_OR_RETURN(peer_, ConnectToService(*fabric_, address_, deadline));
  SendMessage(*fabric_, peer_, 0, greeting_.hello());
  const auto& welcome = greeting_.welcome();
  while (!welcome && !ended_ && SteadyNow() < deadline) fabric_->WaitUntil(deadline);
  if (ended_) return *ended_;
  return welcome ? absl::OkStatus() : DoesNotAnswer(address_);
}

template <typename Question, typename Reply>
absl::StatusOr<Reply> StatsClient::Ask(const Question& question, std::optional<Reply>& reply,
                                       absl::Time deadline) {
  reply.reset();
  if (!ended_) SendMessage(*fabric_, peer_, ++last_request_, question);
  while (!reply && !ended_ && SteadyNow() < deadline) fabric_->WaitUntil(deadline);
  if (reply) return *std::exchange(reply, std::nullopt);
  return ended_.value_or(DoesNotAnswer(address_));
}

absl::StatusOr<std::vector<StatsEntry>> StatsClient::Ask(absl::Time deadline) {
  PB_ASSIGN_OR_RETURN(StatsReply reply, Ask(StatsRequest{}, counts_, deadline));
  return std::move(reply.entries);
}

absl::StatusOr<InspectReply> StatsClient::Inspect(std::uint64_t cursor, absl::Time deadline) {
  if ((greeting_.welcome()->features & kFeatureInspection) == 0) {
    return absl::FailedPreconditionError(
        absl::StrCat(address_, " is an older pinboardd that cannot be inspected: update it"));
  }
  PB_ASSIGN_OR_RETURN(InspectReply reply, Ask(cache_service::Inspect{cursor}, extents_, deadline));
  // Numbers of extents, of which there are no more than 32 bits can tell apart.
  if (reply.next != 0 && (reply.next <= cursor || reply.next > UINT32_MAX)) {
    return BrokeTheProtocol("its answers do not end");
  }
  return reply;
}

absl::Status StatsClient::OnChallenge(const Envelope<Challenge>& envelope) {
  PB_ASSIGN_OR_RETURN(const auto proof, greeting_.OnChallenge(envelope.message));
  if (proof.has_value()) SendMessage(*fabric_, peer_, 0, *proof);
  if (!greeting_.refused().ok()) EndWith(greeting_.refused());
  return absl::OkStatus();
}

absl::Status StatsClient::OnWelcome(const Envelope<Welcome>& envelope) {
  PB_RETURN_IF_ERROR(greeting_.OnWelcome(envelope.message));
  if (!greeting_.refused().ok()) EndWith(greeting_.refused());
  return absl::OkStatus();
}

template <typename Reply, std::optional<Reply> StatsClient::*reply>
absl::Status StatsClient::OnReply(const Envelope<Reply>& envelope) {
  if (envelope.request == last_request_) this->*reply = envelope.message;  // else it came too late
  return absl::OkStatus();
}

absl::Status StatsClient::OnError(const Envelope<Error>& envelope) {
  const Error& error = envelope.message;
  if (error.code == 0) return absl::InvalidArgumentError("an Error without a code");
  EndWith(absl::Status(static_cast<absl::StatusCode>(error.code), error.text));
  return absl::OkStatus();
}

void StatsClient::EndWith(const absl::Status& status) {
  if (!ended_) ended_ = status;
}

void StatsClient::Close(absl::Time deadline) {
  if (ended_) return;
  SendMessage(*fabric_, peer_, 0, Goodbye{greeting_.welcome()->client});
  fabric_->Close(peer_);
  while (!ended_ && SteadyNow() < deadline) fabric_->WaitUntil(deadline);
}

}  // namespace pinboard::cache_service
