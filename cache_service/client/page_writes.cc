// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/client/page_writes.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/fault_point.h"
#include "base/status_macros.h"
#include "cache_service/fault_points.h"
#include "cache_service/protocol/negotiation.h"

namespace pinboard::cache_service {
namespace {

// The request id of LeaseAhead, one of which is under way at a time; no caller counts so far.
constexpr std::uint64_t kAskedAhead = ~std::uint64_t{0};
// A publication leaves in parts, so that the service reads the first while the next are written.
constexpr std::size_t kPagesOfAPart = 128;

}  // namespace

absl::Status NotConnected(const std::string& address) {
  return absl::UnavailableError(absl::StrCat("no connection to the cache service at ", address));
}

void PageWrites::Lost(const absl::Status& gone) {
  connection_ = nullptr;
  publication_ = nullptr;
  GiveBack(ahead_.Reset());
  waiting_for_ahead_.clear();
  for (const auto& [request, lease] : std::exchange(pending_, {})) leased_(request, gone);
  ContinueSteps();
}

void PageWrites::Lease(std::uint64_t request, std::uint32_t count, std::uint64_t bytes) {
  if (connection_ == nullptr) return leased_(request, NotConnected(address_));
  pending_[request] = {count, bytes};
  if (ahead_.IsComing(count, bytes)) {
    waiting_for_ahead_.push_back(request);
  } else {
    Serve(request);
  }
}

void PageWrites::Serve(std::uint64_t request) {
  const auto [count, bytes] = pending_.at(request);
  std::vector<LeasedMemory> leases = TakeAhead(count, bytes);
  if (leases.empty()) Ask(request);
  TookAhead(count, bytes);
  if (!leases.empty()) Grant(request, std::move(leases));
}

std::vector<LeasedMemory> PageWrites::TakeAhead(std::uint32_t count, std::uint64_t bytes) {
  return ahead_.Take(count, bytes, SteadyNow());
}

void PageWrites::Ask(std::uint64_t request) {
  InOrder([this, request] {
    const auto lease = pending_.find(request);
    if (lease == pending_.end()) return;
    connection_->Send(request, LeaseRequest{lease->second.count, lease->second.bytes});
    FaultPoint(fault::kLeaseAsked);
  });
}

void PageWrites::TookAhead(std::uint32_t count, std::uint64_t bytes) {
  if (connection_ == nullptr || (connection_->welcome().features & kFeatureLeasesAhead) == 0)
    return;
  const std::uint32_t more = ahead_.OnLease(count, bytes, connection_->memory_bytes(), SteadyNow());
  if (more > 0) connection_->Send(kAskedAhead, LeaseAhead{more, bytes});
}

absl::Status PageWrites::OnLeaseReply(const Envelope<LeaseReply>& envelope) {
  const LeaseReply& reply = envelope.message;
  if (envelope.request == kAskedAhead) return OnAnswerAhead(reply);
  const auto pending = pending_.find(envelope.request);
  if (pending == pending_.end()) {
    return absl::FailedPreconditionError("a lease that was not asked for");
  }
  const auto [count, bytes] = pending->second;
  PB_RETURN_IF_ERROR(CheckSlabs(reply, count, bytes));
  if (reply.code == 0) {
    Grant(envelope.request, HoldLeases(reply.slabs, bytes));
  } else if (ahead_.idle_at() < absl::InfiniteFuture()) {
    GiveBack(ahead_.TakeAll());
    Ask(envelope.request);
  } else {
    pending_.erase(pending);
    leased_(envelope.request, absl::Status(static_cast<absl::StatusCode>(reply.code), reply.text));
  }
  return absl::OkStatus();
}

absl::Status PageWrites::OnAnswerAhead(const LeaseReply& reply) {
  const auto [count, bytes] = ahead_.question();
  if (count == 0) return absl::FailedPreconditionError("a lease that was not asked for");
  PB_RETURN_IF_ERROR(CheckSlabs(reply, count, bytes));
  ahead_.OnAnswer(HoldLeases(reply.slabs, bytes), SteadyNow());
  for (const std::uint64_t request : std::exchange(waiting_for_ahead_, {})) Serve(request);
  return absl::OkStatus();
}

absl::Status PageWrites::CheckSlabs(const LeaseReply& reply, std::uint32_t count,
                                    std::uint64_t bytes) const {
  if (reply.slabs.size() != (reply.code == 0 ? count : 0)) {
    return absl::InvalidArgumentError("a lease of another number of slabs than asked for");
  }
  for (const SlabLocation& location : reply.slabs) {
    PB_RETURN_IF_ERROR(connection_->CheckLocation(location, bytes));
  }
  return absl::OkStatus();
}

void PageWrites::Grant(std::uint64_t request, std::vector<LeasedMemory> leases) {
  pending_.erase(request);
  FaultPoint(fault::kLeaseHeld);
  leased_(request, std::move(leases));
}

void PageWrites::GiveBack(const std::vector<LeasedMemory>& leases) {
  std::vector<HoldId> holds;
  holds.reserve(leases.size());
  for (const LeasedMemory& lease : leases) holds.push_back(lease.hold);
  if (!holds.empty()) Return(holds);
}

std::vector<LeasedMemory> PageWrites::HoldLeases(const std::vector<SlabLocation>& slabs,
                                                 std::uint64_t bytes) {
  std::vector<LeasedMemory> leases;
  leases.reserve(slabs.size());
  for (const SlabLocation& location : slabs) leases.push_back(HoldLease(location, bytes));
  return leases;
}

LeasedMemory PageWrites::HoldLease(const SlabLocation& location, std::uint64_t bytes) {
  HeldLease lease{connection_.get(), location, nullptr};
  absl::Span<std::byte> memory = connection_->Direct(location, bytes);
  if (memory.empty()) {
    lease.staging = std::shared_ptr<std::byte[]>(new std::byte[bytes]);
    memory = absl::MakeSpan(lease.staging.get(), bytes);
  }
  connection_->Hold();
  return {leases_.Add(std::move(lease)), memory};
}

void PageWrites::Return(absl::Span<const HoldId> leases) {
  std::vector<std::uint64_t> slabs;
  for (const HoldId hold : leases) {
    const HeldLease lease = leases_.Take(hold);
    lease.connection->Release();
    if (lease.connection == connection_.get()) slabs.push_back(lease.location.slab);
  }
  if (!slabs.empty()) connection_->SendInBatches(&ReturnSlabs::slabs, std::move(slabs));
}

void PageWrites::InOrder(absl::AnyInvocable<void()> step) {
  steps_.push_back(std::move(step));
  ContinueSteps();
}

void PageWrites::ContinueSteps() {
  while (publication_ == nullptr && !steps_.empty()) {
    absl::AnyInvocable<void()> next = std::move(steps_.front());
    steps_.pop_front();
    next();
  }
}

void PageWrites::Publish(std::vector<PageToPublish> pages) {
  InOrder([this, pages = std::move(pages)] { PublishNow(pages); });
}

void PageWrites::PublishNow(const std::vector<PageToPublish>& pages) {
  publication_ = std::make_shared<Publication>(
      Publication{PageListWriter<cache_service::Publish>(std::min(pages.size(), kPagesOfAPart))});
  const std::shared_ptr<Publication> publication = publication_;
  if (connection_ == nullptr) publication->status = NotConnected(address_);
  for (const PageToPublish& page : pages) {
    const HeldLease lease = leases_.Take(page.hold);
    if (lease.connection == connection_.get()) {
      if (publication->pages.size() == kPagesOfAPart) {
        publication->parts.push_back(publication->pages.Take(0));
        if (publication->puts_in_flight == 0) SendParts(*publication);
      }
      publication->pages.Add(lease.location.slab, page.header);
      if (lease.staging != nullptr) StartPut(lease, page.header.bytes);
    }
    lease.connection->Release();
  }
  if (publication->puts_in_flight == 0) EndPublication(*publication);
}

void PageWrites::StartPut(const HeldLease& lease, std::size_t bytes) {
  ++publication_->puts_in_flight;
  lease.connection->Put(lease.location, {lease.staging.get(), bytes},
                        [this, publication = publication_, staging = lease.staging](
                            const absl::Status& status) { OnPutDone(publication, status); });
}

void PageWrites::OnPutDone(const std::shared_ptr<Publication>& publication,
                           const absl::Status& status) {
  publication->status.Update(status);
  if (publication != publication_) publication->status.Update(NotConnected(address_));
  if (--publication->puts_in_flight > 0) return;
  EndPublication(*publication);
  ContinueSteps();
}

void PageWrites::SendParts(Publication& publication) {
  for (const EncodedMessage& part : std::exchange(publication.parts, {})) connection_->Send(part);
}

void PageWrites::EndPublication(Publication& publication) {
  // Without a connection the service keeps the slabs from others until this process lets go.
  if (publication.status.ok()) {
    if (publication.pages.size() > 0) publication.parts.push_back(publication.pages.Take(0));
    SendParts(publication);
    FaultPoint(fault::kPublishSent);
  }
  if (&publication == publication_.get()) publication_ = nullptr;
}

}  // namespace pinboard::cache_service
