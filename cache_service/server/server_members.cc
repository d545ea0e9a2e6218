// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The other members of the cluster, to each tenant's replicator: a part of Server.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/fault_point.h"
#include "base/log.h"
#include "cache_service/fault_points.h"
#include "cache_service/protocol/negotiation.h"
#include "cache_service/protocol/send_message.h"
#include "cache_service/server/server.h"

namespace pinboard::cache_service {
namespace {

// As whom the pages of other members are leased; clients' numbers are random.
constexpr ClientId kSelf(0);

}  // namespace

void Server::JoinMembers(Membership& membership, const Member& self) {
  membership_ = &membership;
  self_ = {self.name, incarnation_};
  membership.OnChange([this] { fabric_->Wake(); });
  LookAfterMembers(SteadyNow());  // before one of them connects
}

std::unique_ptr<Replicator> Server::MakeReplicator(Tenant& tenant) {
  tenant.inventory.AddClient(kSelf, MemberGroup());
  TenantStore store{
      .inventory = tenant.inventory,
      .self = kSelf,
      .lease = [this, &tenant](std::uint64_t bytes) -> absl::StatusOr<GrantedSlab> {
        auto granted = tenants_.Lease(tenant, kSelf, 1, bytes);
        if (!granted.ok()) return granted.status();
        return granted->front();
      },
      .is_roomy = [this, &tenant](std::uint64_t bytes) { return tenants_.IsRoomy(tenant, bytes); },
      .memory =
          [&tenant](const SlabPlace& place) {
            return tenant.segments.at(place.segment)->memory().subspan(place.offset, place.bytes);
          }};
  Replicator::Surroundings around{
      .fabric = *fabric_,
      .router = router_,
      .self = self_,
      .keys = [this, &tenant]() -> absl::StatusOr<std::optional<Credentials>> {
        if (access_.keys() == nullptr) return std::nullopt;
        auto credentials = access_.keys()->CredentialsOf(tenant.name, absl::Now());
        if (!credentials.ok()) return credentials.status();
        return *std::move(credentials);
      },
      .look_again =
          [this, &tenant](GroupId group, const PageKey& key) {
            Unpark(tenant, tenant.parked.Take(group, key), SteadyNow());
          }};
  return std::make_unique<Replicator>(std::move(around), store, options_.replication);
}

std::vector<GroupId> Server::ClientGroups(const Tenant& tenant) const {
  std::vector<GroupId> groups;
  for (const auto& [peer, session] : sessions_) {
    const bool is_here = session.tenant == &tenant || session.leaving == &tenant;
    if (is_here && !IsMember(session)) groups.push_back(session.group);
  }
  for (const LostClient& lost : lost_.all()) {
    if (lost.tenant == &tenant && !lost.is_member) groups.push_back(lost.group);
  }
  std::sort(groups.begin(), groups.end());
  groups.erase(std::unique(groups.begin(), groups.end()), groups.end());
  return groups;
}

void Server::ShowMembers(absl::Time now) {
  if (membership_ == nullptr) return;
  const KeyRing* const keys = access_.keys();
  const auto nobody = std::make_shared<MembershipView>();
  for (const auto& [name, tenant] : tenants_.all()) {
    if (tenant->replicator == nullptr) {
      tenant->replicator = MakeReplicator(*tenant);
      tenant->replicator->SetClientGroups(ClientGroups(*tenant));
    }
    const bool is_admitted = keys == nullptr || keys->HasTenant(name);
    tenant->replicator->SetView(is_admitted ? view_ : nobody, now);
  }
}

void Server::LookAfterMembers(absl::Time now) {
  if (membership_ == nullptr) return;
  const MembershipViewPtr view = membership_->View();
  if (std::exchange(view_, view) != view) ShowMembers(now);
  const bool groups_changed = std::exchange(client_groups_changed_, false);
  for (const auto& [name, tenant] : tenants_.all()) {
    if (groups_changed) tenant->replicator->SetClientGroups(ClientGroups(*tenant));
    tenant->replicator->Tick(now);
  }
}

void Server::BeginDrain(absl::Time now) {
  drain_ends_ = now + options_.drain_deadline;
  if (membership_ != nullptr) membership_->Announce(MemberState::kDraining);
  for (const auto& [name, tenant] : tenants_.all()) {
    if (tenant->replicator != nullptr) tenant->replicator->Drain();
  }
  FaultPoint(fault::kDrainBegun);
}

void Server::LookAfterDrain(absl::Time now) {
  if (!drain_asked_.load()) return;
  if (!drain_ends_.has_value()) BeginDrain(now);
  const bool drained =
      std::all_of(tenants_.all().begin(), tenants_.all().end(), [](const auto& entry) {
        return entry.second->replicator == nullptr || entry.second->replicator->IsDrained();
      });
  if (!drained && now < *drain_ends_) return;
  if (membership_ == nullptr) {
    LogInfo("ending without other members: ", Counts().inventory.published_pages,
            " pages are lost");
  } else {
    LogInfo("drained: ", Counts().replication.drain_pages_left, " pages were not handed over");
  }
  stop_.store(true);
  FaultPoint(fault::kDrained);
}

absl::Status Server::OnIntroduce(Session& session, const Envelope<Introduce>& envelope) {
  if (!IsMember(session)) return absl::FailedPreconditionError("only members say who they are");
  const std::string& member = envelope.message.member;
  Replicator* const replicator = session.tenant->replicator.get();
  if (replicator == nullptr || !replicator->HasMember(member)) {
    // Announced to it earlier than to this one, or misspelt, or this one was given no members.
    ++counts_.unknown_members_total;
    TurnAway(session.peer, envelope.request,
             absl::NotFoundError(absl::StrCat(member, " is no member that this one knows of")));
    return absl::OkStatus();
  }
  return replicator->OnIntroduce(session.peer, session.client, envelope.message);
}

absl::Status Server::OnOfferTaken(Session& session, const Envelope<OfferTaken>& envelope) {
  if (session.tenant->replicator == nullptr) {
    return absl::FailedPreconditionError("nobody was offered anything");
  }
  return session.tenant->replicator->OnOfferTaken(session.peer, envelope.message);
}

absl::Status Server::OnPeerFetch(Session& session, const Envelope<PeerFetch>& envelope) {
  if (!IsMember(session)) return absl::FailedPreconditionError("only members ask for any group");
  const std::vector<PageRef>& asked = envelope.message.pages;
  // It publishes what it reads, so it needs whole headers.
  const std::uint64_t features = session.greeting.agreed().features & ~kFeatureShortHits;
  FetchAnswer answer(*fabric_, session.peer, features, envelope.request, asked.size());
  session.tenant->inventory.Pin(session.client, GroupId(envelope.message.group), asked,
                                [&answer](std::size_t i, const Inventory::PinResult& pinned) {
                                  answer.Add(static_cast<std::uint32_t>(i), pinned);
                                });
  answer.Send();
  return absl::OkStatus();
}

}  // namespace pinboard::cache_service
