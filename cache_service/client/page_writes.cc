// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/client/page_writes.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/fault_point.h"
#include "base/status_macros.h"
#include "cache_service/fault_points.h"

namespace pinboard::cache_service {

absl::Status NotConnected(const std::string& address) {
  return absl::UnavailableError(absl::StrCat("no connection to the cache service at ", address));
}

void PageWrites::Lost(const absl::Status& gone) {
  connection_ = nullptr;
  publication_ = nullptr;
  for (const auto& [request, lease] : std::exchange(pending_, {})) leased_(request, gone);
  ContinueSteps();
}

void PageWrites::Lease(std::uint64_t request, std::uint32_t count, std::uint64_t bytes) {
  if (connection_ == nullptr) return leased_(request, NotConnected(address_));
  pending_[request] = {count, bytes};
  InOrder([this, request, count, bytes] {
    if (pending_.contains(request)) connection_->Send(request, LeaseRequest{count, bytes});
    FaultPoint(fault::kLeaseAsked);
  });
}

absl::Status PageWrites::OnLeaseReply(const Envelope<LeaseReply>& envelope) {
  const LeaseReply& reply = envelope.message;
  const auto pending = pending_.find(envelope.request);
  if (pending == pending_.end()) {
    return absl::FailedPreconditionError("a lease that was not asked for");
  }
  const auto [count, bytes] = pending->second;
  if (reply.slabs.size() != (reply.code == 0 ? count : 0)) {
    return absl::InvalidArgumentError("a lease of another number of slabs than asked for");
  }
  for (const SlabLocation& location : reply.slabs) {
    PB_RETURN_IF_ERROR(connection_->CheckLocation(location, bytes));
  }
  pending_.erase(pending);
  if (reply.code != 0) {
    leased_(envelope.request, absl::Status(static_cast<absl::StatusCode>(reply.code), reply.text));
    return absl::OkStatus();
  }
  std::vector<LeasedMemory> leased;
  leased.reserve(reply.slabs.size());
  for (const SlabLocation& location : reply.slabs) leased.push_back(HoldLease(location, bytes));
  FaultPoint(fault::kLeaseHeld);
  leased_(envelope.request, std::move(leased));
  return absl::OkStatus();
}

LeasedMemory PageWrites::HoldLease(const SlabLocation& location, std::uint64_t bytes) {
  HeldLease lease{connection_.get(), location, nullptr};
  absl::Span<std::byte> memory;
  if (memory_ == PageMemory::kLinks) {
    memory = connection_->Direct(location, bytes);
    if (memory.empty()) {
      lease.staging = std::shared_ptr<std::byte[]>(new std::byte[bytes]);
      memory = absl::MakeSpan(lease.staging.get(), bytes);
    }
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
  if (connection_ != nullptr) connection_->SendInBatches(&ReturnSlabs::slabs, slabs);
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

void PageWrites::Publish(std::vector<PageToPublish> pages, Published published) {
  InOrder([this, pages = std::move(pages), published = std::move(published)]() mutable {
    PublishNow(pages, std::move(published));
  });
}

void PageWrites::PublishNow(const std::vector<PageToPublish>& pages, Published published) {
  publication_ = std::make_shared<Publication>();
  const std::shared_ptr<Publication> publication = publication_;
  publication->published = std::move(published);
  if (connection_ == nullptr) publication->status = NotConnected(address_);
  publication->pages.reserve(pages.size());
  for (const PageToPublish& page : pages) {
    const HeldLease lease = leases_.Take(page.hold);
    if (lease.connection == connection_.get()) {
      publication->pages.push_back({lease.location.slab, page.header});
      if (!page.from.empty()) {
        StartPut(lease, page.from);
      } else if (lease.staging != nullptr) {
        StartPut(lease, {lease.staging.get(), page.header.bytes});
      }
    }
    lease.connection->Release();
  }
  if (publication->puts_in_flight == 0) EndPublication(*publication);
}

void PageWrites::StartPut(const HeldLease& lease, absl::Span<const std::byte> from) {
  ++publication_->puts_in_flight;
  lease.connection->Put(lease.location, from,
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

void PageWrites::EndPublication(Publication& publication) {
  // Without a connection the service keeps the slabs from others until this process lets go.
  if (publication.status.ok()) {
    connection_->SendInBatches(&cache_service::Publish::pages, publication.pages);
    FaultPoint(fault::kPublishSent);
  }
  if (&publication == publication_.get()) publication_ = nullptr;
  if (publication.published) publication.published(publication.status);
}

}  // namespace pinboard::cache_service
