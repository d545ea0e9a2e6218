// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/client/page_reads.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/fault_point.h"
#include "base/status_macros.h"
#include "cache_service/fault_points.h"
#include "cache_service/protocol/negotiation.h"

namespace pinboard::cache_service {
namespace {

absl::Status NotAskedFor() {
  return absl::InvalidArgumentError("a page that was not asked for, or asked for once");
}

}  // namespace

void PageReads::Lost(const absl::Status& gone) {
  connection_ = nullptr;
  unpinned_.clear();
  RefuseAll(gone);
}

std::uint64_t PageReads::Add(std::vector<PageRef> pages, absl::Time deadline) {
  const std::uint64_t request = next_request_++;
  PendingFetch& pending = pending_[request];
  pending.pages = std::move(pages);
  pending.states.resize(pending.pages.size(), PageState::kAsked);
  pending.left = pending.pages.size();
  pending.deadline = deadline;
  return request;
}

void PageReads::Send(std::uint64_t request) {
  const auto found = pending_.find(request);
  if (found == pending_.end()) return;
  std::vector<PageRef>& pages = found->second.pages;
  cache_service::Fetch fetch{std::move(pages)};
  connection_->Send(request, fetch);
  pages = std::move(fetch.pages);
  FaultPoint(fault::kFetchSent);
}

void PageReads::Refuse(std::uint64_t request, const absl::Status& status) {
  const auto found = pending_.find(request);
  PendingFetch& pending = found->second;
  for (std::uint32_t index = 0; index < pending.pages.size(); ++index) {
    if (pending.states[index] != PageState::kAnswered) Answer(pending, index, status);
  }
  pending_.erase(found);
}

void PageReads::RefuseAll(const absl::Status& status) {
  while (!pending_.empty()) Refuse(pending_.begin()->first, status);
}

absl::Status PageReads::OnFetchReply(PageListReader<FetchReply>& reply) {
  const auto found = pending_.find(reply.request);
  if (found == pending_.end()) {
    GiveBack(reply);
    return absl::OkStatus();
  }
  if (answers_.results.empty()) answers_.results.reserve(reply.size());
  while (!reply.empty()) PB_RETURN_IF_ERROR(Take(found->second, reply));
  if (found->second.left == 0) pending_.erase(found);
  return absl::OkStatus();
}

void PageReads::GiveBack(PageListReader<FetchReply>& late) {
  std::vector<std::uint64_t> slabs;
  for (FetchedPage page; !late.empty();) {
    late.Next(page);
    if (page.miss == MissCause::kNone) slabs.push_back(page.location.slab);
  }
  connection_->SendInBatches(&cache_service::Unpin::slabs, std::move(slabs));
}

absl::Status PageReads::OnFetchMisses(const Envelope<FetchMisses>& envelope) {
  if ((connection_->welcome().features & kFeatureShortMisses) == 0) {
    return absl::FailedPreconditionError("short misses were not agreed on");
  }
  const auto found = pending_.find(envelope.request);
  for (const MissedPage& page : envelope.message.pages) {
    if (page.miss == MissCause::kNone) return absl::InvalidArgumentError("a miss without a cause");
    if (found == pending_.end()) continue;
    if (!found->second.IsAsked(page.index)) return NotAskedFor();
    AnswerMiss(found->second, page.index, page.miss);
  }
  if (found != pending_.end() && found->second.left == 0) pending_.erase(found);
  return absl::OkStatus();
}

absl::Status PageReads::Take(PendingFetch& pending, PageListReader<FetchReply>& reply) {
  FetchedPage fetched;
  reply.Next(fetched);
  if (!pending.IsAsked(fetched.index)) return NotAskedFor();
  if (fetched.miss != MissCause::kNone) {
    AnswerMiss(pending, fetched.index, fetched.miss);
    return absl::OkStatus();
  }
  const PageHeader& header = fetched.header;
  if (!(pending.pages[fetched.index] == PageRef{header.key, header.generation})) {
    return absl::InvalidArgumentError("another page than the one asked for");
  }
  PB_RETURN_IF_ERROR(connection_->CheckLocation(fetched.location, header.bytes));
  FaultPoint(fault::kPagePinned);
  const absl::Span<const std::byte> direct = connection_->Direct(fetched.location, header.bytes);
  if (direct.empty()) {
    StartGet(pending, reply.request, fetched);
    return absl::OkStatus();
  }
  const HoldId hold = pins_.Add({connection_.get(), fetched.location.slab});
  connection_->Hold();
  AnswerHit(pending, fetched, PagePin(direct, Holding(owner_, hold.value())));
  return absl::OkStatus();
}

void PageReads::StartGet(PendingFetch& pending, std::uint64_t request, const FetchedPage& fetched) {
  pending.states[fetched.index] = PageState::kOnItsWay;
  const std::size_t bytes = fetched.header.bytes;
  // Shared between the transfer and the pin that follows it.
  const std::shared_ptr<std::byte[]> copy(new std::byte[bytes]);
  connection_->Get(
      fetched.location, absl::MakeSpan(copy.get(), bytes),
      [this, connection = connection_, request, fetched, copy](const absl::Status& status) {
        connection->Send(0, cache_service::Unpin{{fetched.location.slab}});
        OnRead(request, fetched, copy, status);
      });
}

void PageReads::OnRead(std::uint64_t request, const FetchedPage& fetched,
                       const std::shared_ptr<std::byte[]>& copy, const absl::Status& status) {
  const auto found = pending_.find(request);
  if (found == pending_.end()) return;
  if (status.ok()) {
    const absl::Span<const std::byte> bytes(copy.get(), fetched.header.bytes);
    AnswerHit(found->second, fetched, PagePin(bytes, [copy] {}));
  } else {
    Answer(found->second, fetched.index, absl::UnavailableError(status.message()));
  }
  if (found->second.left == 0) pending_.erase(found);
}

void PageReads::AnswerHit(PendingFetch& pending, const FetchedPage& fetched, PagePin pin) {
  ++answers_.pages;
  answers_.bytes += fetched.header.bytes;
  pending.states[fetched.index] = PageState::kAnswered;
  --pending.left;
  answers_.results.emplace_back(pending.pages[fetched.index], fetched.header, std::move(pin));
}

void PageReads::AnswerMiss(PendingFetch& pending, std::uint32_t index, MissCause cause) {
  Answer(pending, index, absl::NotFoundError(absl::StrCat("page ", MissCauseName(cause))));
}

void PageReads::Answer(PendingFetch& pending, std::uint32_t index, const absl::Status& status) {
  pending.states[index] = PageState::kAnswered;
  --pending.left;
  answers_.results.emplace_back(pending.pages[index], PageHeader{}, status);
}

void PageReads::Unpin(absl::Span<const HoldId> pins) {
  unpinned_.reserve(unpinned_.size() + pins.size());
  for (const HoldId hold : pins) {
    const HeldPin pin = pins_.Take(hold);
    pin.connection->Release();
    if (pin.connection == connection_.get()) unpinned_.push_back(pin.slab);
  }
}

void PageReads::SendUnpins() {
  if (unpinned_.empty()) return;
  connection_->SendInBatches(&cache_service::Unpin::slabs, std::exchange(unpinned_, {}));
  FaultPoint(fault::kUnpinSent);
}

void PageReads::Expire(absl::Time now) {
  std::vector<std::uint64_t> expired;
  for (const auto& [request, pending] : pending_) {
    if (pending.deadline <= now) expired.push_back(request);
  }
  for (const std::uint64_t request : expired) {
    Refuse(request, absl::DeadlineExceededError("the page did not come in time"));
  }
}

absl::Time PageReads::next_deadline() const {
  absl::Time next = absl::InfiniteFuture();
  for (const auto& [request, pending] : pending_) next = std::min(next, pending.deadline);
  return next;
}

}  // namespace pinboard::cache_service
