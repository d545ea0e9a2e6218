// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "shard/page_fetcher.h"

#include <utility>

#include "base/status_macros.h"

namespace pinboard {
namespace {

bool IsAsked(const cache_service::FetchResult& result) {
  return result.pin.ok() && result.header.key == result.page.key &&
         result.header.generation == result.page.generation;
}

}  // namespace

absl::Status PageFetcher::BeginStep(int pages) {
  room_ = pages;
  return store_ == nullptr ? absl::OkStatus() : Poll();
}

void PageFetcher::Start(absl::Span<const Request> requests, absl::Time deadline) {
  room_ -= static_cast<int>(requests.size());
  std::vector<cache_service::PageRef> refs;
  for (const Request& request : requests) {
    tickets_[request.ticket] = {State::kPending, request.wanted_at, nullptr};
    auto& waiting = waiting_[RefKey{request.ref.key, request.ref.generation}];
    if (waiting.empty()) refs.push_back(request.ref);
    waiting.push_back(request.ticket);
  }
  if (!refs.empty()) store_->Fetch(refs, deadline);
}

void PageFetcher::Settle(const RefKey& ref, std::shared_ptr<const FetchedPage> page) {
  const auto waiting = waiting_.find(ref);
  if (waiting == waiting_.end()) return;
  for (const FetchTicket& ticket : waiting->second) {
    const auto entry = tickets_.find(ticket);
    if (entry == tickets_.end()) continue;
    entry->second.state = page ? State::kReady : State::kMissed;
    entry->second.page = page;
  }
  waiting_.erase(waiting);
}

void PageFetcher::SettleCopies(absl::Span<const PageIntake::Copy> copies) {
  for (const PageIntake::Copy& copy : copies) {
    const RefKey ref{copy.identity.key, copy.identity.generation};
    const auto header = arrived_.extract(ref);
    if (header.empty() || copy.bytes == nullptr) {
      Settle(ref, nullptr);
    } else {
      Settle(ref, std::make_shared<const FetchedPage>(FetchedPage{header.mapped(), copy.bytes}));
    }
  }
}

absl::Status PageFetcher::Poll() {
  std::vector<PageIntake::Arrival> arrivals;
  for (auto& result : store_->TakeFetched()) {
    const RefKey ref{result.page.key, result.page.generation};
    if (!IsAsked(result)) {
      Settle(ref, nullptr);
      continue;
    }
    arrived_[ref] = result.header;
    arrivals.push_back(
        {{result.page.key, result.page.generation}, result.header.tag, *std::move(result.pin)});
  }
  if (!arrivals.empty()) PB_RETURN_IF_ERROR(intake_->Start(std::move(arrivals)));
  PB_ASSIGN_OR_RETURN(const auto copies, intake_->Poll());
  SettleCopies(copies);
  return absl::OkStatus();
}

absl::StatusOr<bool> PageFetcher::Wait(absl::Time deadline) {
  PB_RETURN_IF_ERROR(Poll());
  if (waiting_.empty()) return false;
  while (!waiting_.empty() && store_->WaitFetched(deadline)) PB_RETURN_IF_ERROR(Poll());
  PB_ASSIGN_OR_RETURN(const auto copies, intake_->Wait());
  SettleCopies(copies);
  while (!waiting_.empty()) Settle(RefKey(waiting_.begin()->first), nullptr);
  return true;
}

PageFetcher::State PageFetcher::StateOf(const FetchTicket& ticket) const {
  const auto found = tickets_.find(ticket);
  return found == tickets_.end() ? State::kMissed : found->second.state;
}

PageFetcher::Taken PageFetcher::Take(const FetchTicket& ticket) {
  const auto found = tickets_.find(ticket);
  if (found == tickets_.end()) return {};
  Taken taken{std::move(found->second.page), found->second.wanted_at};
  tickets_.erase(found);
  return taken;
}

void PageFetcher::Forget(std::uint64_t sequence) {
  absl::erase_if(tickets_, [&](const auto& item) { return item.first.sequence == sequence; });
}

}  // namespace pinboard
