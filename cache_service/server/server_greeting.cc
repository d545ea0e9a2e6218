// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Who comes in, and what the clients of a tenant are told of its memory: a part of Server.
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/clock.h"
#include "base/fault_point.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "cache_service/fault_points.h"
#include "cache_service/protocol/negotiation.h"
#include "cache_service/protocol/process_identity.h"
#include "cache_service/protocol/send_message.h"
#include "cache_service/server/server.h"

namespace pinboard::cache_service {
namespace {

constexpr absl::Duration kAccessCheckInterval = absl::Milliseconds(250);
constexpr std::size_t kMostNameBytes = 64;  // of what a client calls itself, in the log

}  // namespace

absl::Status Server::OnHello(Session& session, const Envelope<Hello>& envelope) {
  const Hello& hello = envelope.message;
  session.name = absl::StrCat(hello.name.substr(0, kMostNameBytes), " (process ", hello.process.pid,
                              " at ", fabric_->AddressOf(session.peer), ")");
  PB_ASSIGN_OR_RETURN(const std::optional<Challenge> challenge,
                      session.greeting.OnHello(hello, access_.keys(), incarnation_, clock_.Now()));
  if (!challenge.has_value()) return Admit(session, envelope.request);
  SendMessage(*fabric_, session.peer, envelope.request, *challenge);
  return absl::OkStatus();
}

absl::Status Server::OnProof(Session& session, const Envelope<Proof>& envelope) {
  RefreshAccess();  // its tenant or key may have been added a moment ago
  PB_RETURN_IF_ERROR(
      session.greeting.OnProof(envelope.message, access_.keys(), clock_.Now(), absl::Now()));
  return Admit(session, envelope.request);
}

absl::Status Server::Admit(Session& session, std::uint64_t request) {
  const Greeting& greeting = session.greeting;
  Tenant& tenant = tenants_.Find(greeting.tenant());
  PB_RETURN_IF_ERROR(lost_.CheckMayConnect(tenant, greeting.hello().process));
  session.tenant = &tenant;
  session.client = ClientId(RandomNumber());
  session.group = GroupId(greeting.hello().group);
  session.process = greeting.hello().process;
  tenant.inventory.AddClient(session.client, session.group);
  lost_.TakePlaces(AsLost(session));
  ++tenant.connections_total;
  client_groups_changed_ = true;
  LogOfClient(
      session,
      absl::StrCat(session.name, " connected",
                   access_.keys() == nullptr ? "" : absl::StrCat(" as tenant ", tenant.name)));
  Welcome welcome;
  welcome.version = greeting.agreed().version;
  welcome.features = greeting.agreed().features;
  welcome.incarnation = incarnation_;
  welcome.client = session.client.value();
  welcome.host = CurrentProcess().host;
  welcome.page_alignment = kSlabAlignment;
  welcome.max_page_bytes = max_page_bytes_;
  SendMessage(*fabric_, session.peer, request, welcome);
  FaultPoint(fault::kWelcomed);
  Segments announced;
  for (const auto& [segment, memory] : tenant.segments) {
    fabric_->Lend(session.peer, *memory);
    announced.segments.push_back(DescribeSegment(tenant, segment));
  }
  SendMessage(*fabric_, session.peer, 0, announced);
  FaultPoint(fault::kAnnounced);
  return absl::OkStatus();
}

template <typename Message>
void Server::SendToClientsOf(const Tenant& tenant, const Message& message, std::uint64_t feature) {
  for (const auto& [peer, session] : sessions_) {
    if (session.tenant != &tenant) continue;
    if ((session.greeting.agreed().features & feature) != feature) continue;
    SendMessage(*fabric_, peer, 0, message);
  }
}

template void Server::SendToClientsOf(const Tenant&, const Segments&, std::uint64_t);
template void Server::SendToClientsOf(const Tenant&, const Withdrawn&, std::uint64_t);

void Server::RefreshAccess() {
  if (!access_.Refresh()) return;
  tenants_.Apply(access_);
  ShowMembers(SteadyNow());
}

void Server::LookAfterAccess(absl::Time now) {
  if (now < next_access_check_) return;
  next_access_check_ = now + kAccessCheckInterval;
  RefreshAccess();
  std::vector<std::pair<transport::PeerId, absl::Status>> refused;
  for (const auto& [peer, session] : sessions_) {
    const absl::Status stands = session.greeting.CheckStands(access_.keys(), now);
    if (!stands.ok()) refused.emplace_back(peer, stands);
  }
  for (const auto& [peer, why] : refused) Refuse(peer, 0, why);
  if (access_.keys() == nullptr) return;
  for (const auto& [name, tenant] : tenants_.all()) {
    tenant_metrics_.Update(name, CountsOf(*tenant));
  }
}

}  // namespace pinboard::cache_service
