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

bool IsPinned(const FetchedPage& page) { return page.miss == MissCause::kNone; }
bool IsPinned(const FoundPage&) { return true; }

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

absl::Status PageReads::OnFetchReply(PageListReader<FetchReply>& reply) { return TakeAll(reply); }

absl::Status PageReads::OnFetchHits(PageListReader<FetchHits>& hits) {
  if ((connection_->welcome().features & kFeatureShortHits) == 0) {
    return absl::FailedPreconditionError("short hits were not agreed on");
  }
  return TakeAll(hits);
}

template <typename Message>
absl::Status PageReads::TakeAll(PageListReader<Message>& pages) {
  const auto found = pending_.find(pages.request);
  if (found == pending_.end()) {
    GiveBack(pages);
    return absl::OkStatus();
  }
  if (answers_.results.empty()) answers_.results.reserve(pages.size());
  for (typename PageListReader<Message>::Page page; !pages.empty();) {
    pages.Next(page);
    PB_RETURN_IF_ERROR(Take(found->second, pages.request, page));
  }
  if (found->second.left == 0) pending_.erase(found);
  return absl::OkStatus();
}

template <typename Message>
void PageReads::GiveBack(PageListReader<Message>& late) {
  std::vector<std::uint64_t> slabs;
  for (typename PageListReader<Message>::Page page; !late.empty();) {
    late.Next(page);
    if (IsPinned(page)) slabs.push_back(page.location.slab);
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

absl::Status PageReads::Take(PendingFetch& pending, std::uint64_t request,
                             const FetchedPage& page) {
  if (!pending.IsAsked(page.index)) return NotAskedFor();
  if (page.miss != MissCause::kNone) {
    AnswerMiss(pending, page.index, page.miss);
    return absl::OkStatus();
  }
  const PageHeader& header = page.header;
  if (!(pending.pages[page.index] == PageRef{header.key, header.generation})) {
    return absl::InvalidArgumentError("another page than the one asked for");
  }
  return Take(pending, request, FoundPage{page.index, page.location, header.fetched()});
}

absl::Status PageReads::Take(PendingFetch& pending, std::uint64_t request, const FoundPage& found) {
  if (!pending.IsAsked(found.index)) return NotAskedFor();
  const std::uint32_t bytes = found.header.bytes;
  PB_RETURN_IF_ERROR(connection_->CheckLocation(found.location, bytes));
  FaultPoint(fault::kPagePinned);
  const absl::Span<const std::byte> direct = connection_->Direct(found.location, bytes);
  if (direct.empty()) {
    StartGet(pending, request, found);
    return absl::OkStatus();
  }
  const HoldId hold = pins_.Add({connection_.get(), found.location.slab});
  connection_->Hold();
  AnswerHit(pending, found, PagePin(direct, Holding(owner_, hold.value())));
  return absl::OkStatus();
}

void PageReads::StartGet(PendingFetch& pending, std::uint64_t request, const FoundPage& found) {
  pending.states[found.index] = PageState::kOnItsWay;
  const std::size_t bytes = found.header.bytes;
  // Shared between the transfer and the pin that follows it.
  const std::shared_ptr<std::byte[]> copy(new std::byte[bytes]);
  connection_->Get(
      found.location, absl::MakeSpan(copy.get(), bytes),
      [this, connection = connection_, request, found, copy](const absl::Status& status) {
        connection->Send(0, cache_service::Unpin{{found.location.slab}});
        OnRead(request, found, copy, status);
      });
}

void PageReads::OnRead(std::uint64_t request, const FoundPage& found,
                       const std::shared_ptr<std::byte[]>& copy, const absl::Status& status) {
  const auto pending = pending_.find(request);
  if (pending == pending_.end()) return;
  if (status.ok()) {
    const absl::Span<const std::byte> bytes(copy.get(), found.header.bytes);
    AnswerHit(pending->second, found, PagePin(bytes, [copy] {}));
  } else {
    Answer(pending->second, found.index, absl::UnavailableError(status.message()));
  }
  if (pending->second.left == 0) pending_.erase(pending);
}

void PageReads::AnswerHit(PendingFetch& pending, const FoundPage& found, PagePin pin) {
  ++answers_.pages;
  answers_.bytes += found.header.bytes;
  pending.states[found.index] = PageState::kAnswered;
  --pending.left;
  answers_.results.emplace_back(pending.pages[found.index], found.header, std::move(pin));
}

void PageReads::AnswerMiss(PendingFetch& pending, std::uint32_t index, MissCause cause) {
  Answer(pending, index, absl::NotFoundError(absl::StrCat("page ", MissCauseName(cause))));
}

void PageReads::Answer(PendingFetch& pending, std::uint32_t index, const absl::Status& status) {
  pending.states[index] = PageState::kAnswered;
  --pending.left;
  answers_.results.emplace_back(pending.pages[index], FetchedHeader{}, status);
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
