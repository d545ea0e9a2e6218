// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What clients ask of pages: a part of Server.
#include <algorithm>
#include <array>
#include <map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/fault_point.h"
#include "base/status_macros.h"
#include "cache_service/fault_points.h"
#include "cache_service/protocol/negotiation.h"
#include "cache_service/protocol/send_message.h"
#include "cache_service/server/server.h"

namespace pinboard::cache_service {
namespace {

using transport::PeerId;

constexpr std::size_t kMaxParkedFetches = 65536;  // of a tenant
/// How long a fetch waits for a page that was never seen: its publication may be on its way from
/// another client of the group.
constexpr absl::Duration kPublishGrace = absl::Milliseconds(50);
constexpr char kDraining[] = "this service is draining";

}  // namespace

absl::Status Server::OnLease(Session& session, const Envelope<LeaseRequest>& envelope) {
  if (drain_asked_.load()) {
    AnswerLease(session, envelope.request, absl::UnavailableError(kDraining));
    return absl::OkStatus();
  }
  const bool too_many = envelope.message.count > kMaxListElements;
  if (too_many) ++session.tenant->refused_leases_total;
  const auto granted = too_many ? absl::InvalidArgumentError(absl::StrCat(
                                      "a lease of more than ", kMaxListElements, " slabs"))
                                : tenants_.Lease(*session.tenant, session.client,
                                                 envelope.message.count, envelope.message.bytes);
  AnswerLease(session, envelope.request, granted);
  return absl::OkStatus();
}

absl::Status Server::OnLeaseAhead(Session& session, const Envelope<LeaseAhead>& envelope) {
  const auto [count, bytes] = envelope.message;
  absl::StatusOr<std::vector<GrantedSlab>> granted = absl::ResourceExhaustedError("too many");
  if (drain_asked_.load()) {
    granted = absl::UnavailableError(kDraining);
  } else if (count <= kMaxListElements) {
    granted = session.tenant->inventory.LeaseAhead(session.client, count, bytes);
  }
  AnswerLease(session, envelope.request, granted);
  return absl::OkStatus();
}

void Server::AnswerLease(const Session& session, std::uint64_t request,
                         const absl::StatusOr<std::vector<GrantedSlab>>& granted) {
  LeaseReply reply;
  reply.code = static_cast<std::uint8_t>(granted.status().code());
  reply.text = std::string(granted.status().message());
  if (granted.ok()) {
    FaultPoint(fault::kLeaseGranted);
    for (const GrantedSlab& slab : *granted) {
      reply.slabs.push_back({slab.slab.value(), slab.place.segment, slab.place.offset});
    }
  }
  SendMessage(*fabric_, session.peer, request, reply);
}

absl::Status Server::OnPublish(Session& session, PageListReader<Publish>& incoming) {
  std::vector<ParkedFetch> waiting;
  Tenant& tenant = *session.tenant;
  const auto published = [&](const PageHeader& header) {
    FaultPoint(fault::kPagePublished);
    for (const ParkedFetch& fetch : tenant.parked.Take(session.group, header.key)) {
      waiting.push_back(fetch);
    }
  };
  absl::Status status;
  std::array<PublishedPage, kSlabsTogether> some;
  while (status.ok() && !incoming.empty()) {
    const auto pages = absl::MakeSpan(some).subspan(0, incoming.size());
    for (PublishedPage& page : pages) incoming.Next(page);
    status = tenant.inventory.Publish(session.client, pages, published);
    if (status.ok() && tenant.replicator != nullptr) {
      tenant.replicator->OnPublished(session.group, pages);
    }
  }
  Unpark(tenant, waiting, SteadyNow());  // others', also where a later page broke the protocol
  return status;
}

absl::Status Server::OnReturnSlabs(Session& session, const Envelope<ReturnSlabs>& envelope) {
  for (const std::uint64_t slab : envelope.message.slabs) {
    PB_RETURN_IF_ERROR(session.tenant->inventory.Return(session.client, SlabId(slab)));
  }
  return absl::OkStatus();
}

absl::Status Server::OnFetch(Session& session, const Envelope<Fetch>& envelope) {
  const absl::Time now = SteadyNow();
  const absl::Time grace_ends = now + kPublishGrace;
  const absl::Time pull_ends = now + options_.replication.pull_timeout;
  const std::vector<PageRef>& asked = envelope.message.pages;
  FetchAnswer answer = AnswerTo(session, envelope.request, asked.size());
  Tenant& tenant = *session.tenant;
  const bool pulls = tenant.replicator != nullptr && tenant.replicator->IsElsewhere(session.group);
  std::vector<PageRef> pulled;
  tenant.inventory.Pin(
      session.client, asked, [&](std::size_t i, const Inventory::PinResult& pinned) {
        const auto index = static_cast<std::uint32_t>(i);
        const bool unknown = pinned.miss == MissCause::kUnknown;
        const bool pull = pulls && (unknown || pinned.miss == MissCause::kEvicted);
        if ((unknown || pull) && tenant.parked.size() < kMaxParkedFetches) {
          tenant.parked.Add(session.group,
                            {session.peer, envelope.request, index, asked[i],
                             pull ? std::max(pull_ends, grace_ends) : grace_ends, grace_ends});
          if (pull) pulled.push_back(asked[i]);
          return;
        }
        tenant.CountFetched(pinned);
        answer.Add(index, pinned);
      });
  answer.Send();
  if (!pulled.empty()) tenant.replicator->Pull(session.group, pulled, pull_ends);
  return absl::OkStatus();
}

FetchAnswer Server::AnswerTo(const Session& session, std::uint64_t request, std::size_t pages) {
  return {*fabric_, session.peer, session.greeting.agreed().features, request, pages};
}

absl::Time Server::WaitsUntil(const Tenant& tenant, GroupId group, const ParkedFetch& fetch,
                              MissCause miss) {
  const bool unknown = miss == MissCause::kUnknown;
  const bool is_pulled = (unknown || miss == MissCause::kEvicted) && tenant.replicator != nullptr &&
                         tenant.replicator->IsPulling(group, fetch.page);
  if (is_pulled) return fetch.expires;
  return unknown ? fetch.grace_ends : absl::InfinitePast();
}

void Server::Unpark(Tenant& tenant, const std::vector<ParkedFetch>& fetches, absl::Time now) {
  std::map<std::pair<PeerId, std::uint64_t>, FetchAnswer> answers;
  for (const ParkedFetch& fetch : fetches) {
    const auto session = sessions_.find(fetch.peer);
    if (session == sessions_.end() || session->second.tenant == nullptr) continue;
    const Inventory::PinResult pinned = tenant.inventory.Pin(session->second.client, fetch.page);
    ParkedFetch waiting = fetch;
    waiting.expires = WaitsUntil(tenant, session->second.group, fetch, pinned.miss);
    if (now < waiting.expires) {  // an older generation came, or nobody else has it
      tenant.parked.Add(session->second.group, waiting);
      continue;
    }
    tenant.CountFetched(pinned);
    const auto [answer, is_new] = answers.try_emplace(
        {fetch.peer, fetch.request}, AnswerTo(session->second, fetch.request, fetches.size()));
    answer->second.Add(fetch.index, pinned);
  }
  for (auto& [to, answer] : answers) answer.Send();
}

absl::Status Server::OnUnpin(Session& session, const Envelope<Unpin>& envelope) {
  const std::vector<std::uint64_t>& slabs = envelope.message.slabs;
  return session.tenant->inventory.Unpin(session.client,
                                         std::vector<SlabId>(slabs.begin(), slabs.end()));
}

absl::Status Server::OnDrop(Session& session, const Envelope<Drop>& envelope) {
  Tenant& tenant = *session.tenant;
  for (const PageRef& page : envelope.message.pages) tenant.inventory.Drop(session.client, page);
  if (tenant.replicator != nullptr) {
    tenant.replicator->OnDropped(session.group, envelope.message.pages);
  }
  return absl::OkStatus();
}

absl::Status Server::OnDropSequence(Session& session, const Envelope<DropSequence>& envelope) {
  Tenant& tenant = *session.tenant;
  const std::uint64_t sequence = envelope.message.sequence;
  tenant.inventory.DropSequence(session.client, sequence);
  if (tenant.replicator != nullptr) tenant.replicator->OnSequenceDropped(session.group, sequence);
  return absl::OkStatus();
}

}  // namespace pinboard::cache_service
