// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What clients ask of pages: a part of Server.
#include <algorithm>
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
// A reply has so many pages at most, so that the client reads the first while the next are pinned.
constexpr std::size_t kPagesOfAReply = 128;
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

absl::Status Server::OnPublish(Session& session, const Envelope<Publish>& envelope) {
  std::vector<ParkedFetch> waiting;
  Tenant& tenant = *session.tenant;
  const absl::Status status = tenant.inventory.Publish(
      session.client, envelope.message.pages, [&](const PageHeader& header) {
        FaultPoint(fault::kPagePublished);
        for (ParkedFetch& fetch : tenant.parked.Take(session.group, header.key)) {
          waiting.push_back(std::move(fetch));
        }
      });
  Unpark(tenant, waiting, SteadyNow());  // others', also where a later page broke the protocol
  if (status.ok() && tenant.replicator != nullptr) {
    tenant.replicator->OnPublished(session.group, envelope.message.pages);
  }
  return status;
}

absl::Status Server::OnReturnSlabs(Session& session, const Envelope<ReturnSlabs>& envelope) {
  for (const std::uint64_t slab : envelope.message.slabs) {
    PB_RETURN_IF_ERROR(session.tenant->inventory.Return(session.client, SlabId(slab)));
  }
  return absl::OkStatus();
}

FetchedPage Server::Describe(const Inventory::PinResult& pinned, std::uint32_t index) {
  FetchedPage fetched{.index = index, .miss = pinned.miss};
  if (pinned.miss == MissCause::kNone) {
    FaultPoint(fault::kFetchPinned);
    fetched.location = {pinned.slab.slab.value(), pinned.slab.place.segment,
                        pinned.slab.place.offset};
    fetched.header = *pinned.header;
  }
  return fetched;
}

absl::Status Server::OnFetch(Session& session, const Envelope<Fetch>& envelope) {
  const absl::Time now = SteadyNow();
  const absl::Time grace_ends = now + options_.publish_grace;
  const absl::Time pull_ends = now + options_.replication.pull_timeout;
  const std::vector<PageRef>& asked = envelope.message.pages;
  std::vector<FetchedPage> pages;
  pages.reserve(std::min(asked.size(), kPagesOfAReply));
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
        tenant.CountFetched(pages.emplace_back(Describe(pinned, index)));
        if (pages.size() < kPagesOfAReply) return;
        Reply(session, envelope.request, std::exchange(pages, {}));
        pages.reserve(kPagesOfAReply);
      });
  Reply(session, envelope.request, std::move(pages));
  if (!pulled.empty()) tenant.replicator->Pull(session.group, pulled, pull_ends);
  return absl::OkStatus();
}

void Server::Reply(const Session& session, std::uint64_t request, std::vector<FetchedPage> pages) {
  FetchMisses misses;
  if ((session.greeting.agreed().features & kFeatureShortMisses) != 0) {
    std::erase_if(pages, [&misses](const FetchedPage& page) {
      if (page.miss != MissCause::kNone) misses.pages.push_back({page.index, page.miss});
      return page.miss != MissCause::kNone;
    });
  }
  if (!misses.pages.empty()) SendMessage(*fabric_, session.peer, request, misses);
  if (!pages.empty()) SendMessage(*fabric_, session.peer, request, FetchReply{std::move(pages)});
}

bool Server::IsWaiting(const Tenant& tenant, GroupId group, const ParkedFetch& fetch,
                       MissCause miss, absl::Time now) const {
  if (miss == MissCause::kUnknown && now < fetch.grace_ends) return true;
  return (miss == MissCause::kUnknown || miss == MissCause::kEvicted) && now < fetch.expires &&
         tenant.replicator != nullptr && tenant.replicator->IsPulling(group, fetch.page);
}

void Server::Unpark(Tenant& tenant, const std::vector<ParkedFetch>& fetches, absl::Time now) {
  std::map<std::pair<PeerId, std::uint64_t>, std::vector<FetchedPage>> replies;
  for (const ParkedFetch& fetch : fetches) {
    const auto session = sessions_.find(fetch.peer);
    if (session == sessions_.end() || session->second.tenant == nullptr) continue;
    const FetchedPage fetched =
        Describe(tenant.inventory.Pin(session->second.client, fetch.page), fetch.index);
    if (IsWaiting(tenant, session->second.group, fetch, fetched.miss, now)) {
      // An older generation came, or nobody else has it, or it has expired as a pull begins.
      tenant.parked.Add(session->second.group, fetch);
      continue;
    }
    tenant.CountFetched(fetched);
    replies[{fetch.peer, fetch.request}].push_back(fetched);
  }
  for (auto& [to, pages] : replies) Reply(sessions_.at(to.first), to.second, std::move(pages));
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
