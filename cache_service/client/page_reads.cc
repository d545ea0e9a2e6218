// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/client/page_reads.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/fault_point.h"
#include "base/status_macros.h"
#include "cache_service/fault_points.h"
#include "cache_service/protocol/negotiation.h"

namespace pinboard::cache_service {

void PageReads::Lost(const absl::Status& gone) {
  connection_ = nullptr;
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
  const auto pending = pending_.find(request);
  if (pending == pending_.end()) return;
  connection_->Send(request, cache_service::Fetch{pending->second.pages});
  FaultPoint(fault::kFetchSent);
}

void PageReads::Refuse(std::uint64_t request, const absl::Status& status) {
  PendingFetch& pending = pending_.at(request);
  std::vector<PageRef> refused;
  for (std::size_t i = 0; i < pending.pages.size(); ++i) {
    if (pending.states[i] == PageState::kAnswered) continue;
    pending.states[i] = PageState::kAnswered;
    refused.push_back(pending.pages[i]);
  }
  pending.left -= refused.size();
  pending.deadline = absl::InfiniteFuture();
  if (pending.left == 0) pending_.erase(request);
  for (const PageRef& page : refused) fetched_(page, {}, status);
}

void PageReads::RefuseAll(const absl::Status& status) {
  std::vector<std::uint64_t> requests;
  for (const auto& [request, fetch] : pending_) requests.push_back(request);
  for (const std::uint64_t request : requests) Refuse(request, status);
}

absl::Status PageReads::OnFetchReply(const Envelope<FetchReply>& envelope) {
  std::vector<std::uint64_t> late;
  for (const FetchedPage& fetched : envelope.message.pages) {
    const auto pending = pending_.find(envelope.request);
    if (pending == pending_.end()) {
      if (fetched.miss == MissCause::kNone) late.push_back(fetched.location.slab);
      continue;
    }
    if (fetched.index >= pending->second.pages.size() ||
        pending->second.states[fetched.index] != PageState::kAsked) {
      return absl::InvalidArgumentError("a page that was not asked for, or asked for once");
    }
    PB_RETURN_IF_ERROR(
        Take(envelope.request, PageRef(pending->second.pages[fetched.index]), fetched));
  }
  connection_->SendInBatches(&cache_service::Unpin::slabs, std::move(late));
  return absl::OkStatus();
}

absl::Status PageReads::OnFetchMisses(const Envelope<FetchMisses>& envelope) {
  if ((connection_->welcome().features & kFeatureShortMisses) == 0) {
    return absl::FailedPreconditionError("short misses were not agreed on");
  }
  Envelope<FetchReply> reply{.request = envelope.request};
  for (const MissedPage& page : envelope.message.pages) {
    if (page.miss == MissCause::kNone) return absl::InvalidArgumentError("a miss without a cause");
    reply.message.pages.push_back({.index = page.index, .miss = page.miss});
  }
  return OnFetchReply(reply);
}

absl::Status PageReads::Take(std::uint64_t request, const PageRef& page,
                             const FetchedPage& fetched) {
  if (fetched.miss != MissCause::kNone) {
    Answer(request, fetched.index, {},
           absl::NotFoundError(absl::StrCat("page ", MissCauseName(fetched.miss))));
    return absl::OkStatus();
  }
  if (!(page == PageRef{fetched.header.key, fetched.header.generation})) {
    return absl::InvalidArgumentError("another page than the one asked for");
  }
  PB_RETURN_IF_ERROR(connection_->CheckLocation(fetched.location, fetched.header.bytes));
  FaultPoint(fault::kPagePinned);
  const absl::Span<const std::byte> direct =
      connection_->Direct(fetched.location, fetched.header.bytes);
  if (direct.empty()) {
    // Shared between the transfer and the pin that follows it.
    const std::shared_ptr<std::byte[]> copy(new std::byte[fetched.header.bytes]);
    StartGet(request, fetched, absl::MakeSpan(copy.get(), fetched.header.bytes), copy);
    return absl::OkStatus();
  }
  const HoldId hold = pins_.Add({connection_.get(), fetched.location.slab});
  connection_->Hold();
  Answer(request, fetched.index, fetched.header, FetchedMemory{hold, direct, {}});
  return absl::OkStatus();
}

void PageReads::StartGet(std::uint64_t request, const FetchedPage& fetched,
                         absl::Span<std::byte> to, std::shared_ptr<std::byte[]> copy) {
  pending_.at(request).states[fetched.index] = PageState::kOnItsWay;
  connection_->Get(
      fetched.location, to,
      [this, connection = connection_, request, fetched, to, copy](absl::Status status) {
        connection->Send(0, cache_service::Unpin{{fetched.location.slab}});
        if (!status.ok()) {
          return Answer(request, fetched.index, {}, absl::UnavailableError(status.message()));
        }
        Answer(request, fetched.index, fetched.header, FetchedMemory{{}, to, copy});
      });
}

void PageReads::Answer(std::uint64_t request, std::uint32_t index, const PageHeader& header,
                       absl::StatusOr<FetchedMemory> memory) {
  const auto found = pending_.find(request);
  if (found == pending_.end()) return;
  PendingFetch& pending = found->second;
  if (std::exchange(pending.states[index], PageState::kAnswered) == PageState::kAnswered) return;
  const PageRef page = pending.pages[index];
  if (--pending.left == 0) pending_.erase(found);
  fetched_(page, header, std::move(memory));
}

void PageReads::Unpin(absl::Span<const HoldId> pins) {
  std::vector<std::uint64_t> slabs;
  for (const HoldId hold : pins) {
    const HeldPin pin = pins_.Take(hold);
    pin.connection->Release();
    if (pin.connection == connection_.get()) slabs.push_back(pin.slab);
  }
  if (slabs.empty()) return;
  connection_->SendInBatches(&cache_service::Unpin::slabs, std::move(slabs));
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
