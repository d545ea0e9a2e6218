// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "shard/page_fetcher.h"

#include <algorithm>
#include <utility>

#include "base/prefetch.h"
#include "base/status_macros.h"

namespace pinboard {
namespace {

/// Fetches are looked up in the order in which they were asked for, which is none of the memory's:
/// so many ahead their places are on their way.
constexpr std::size_t kAhead = 8;

}  // namespace

void PageFetcher::Start(absl::Span<const Request> requests, absl::Time deadline) {
  room_ -= static_cast<int>(requests.size());
  std::vector<cache_service::PageRef> refs;
  refs.reserve(requests.size());
  for (std::size_t i = 0; i < requests.size(); ++i) {
    if (i + kAhead < requests.size()) {
      const Request& soon = requests[i + kAhead];
      Expect({soon.ref.key, soon.ref.generation}, soon.ticket.sequence, soon.ticket.layer);
    }
    const Request& request = requests[i];
    const FetchTicket& ticket = request.ticket;
    Entry* entry = Find(ticket);
    if (entry == nullptr) {
      std::vector<Ring>& layers = rings_[ticket.sequence];
      layers.resize(std::max(layers.size(), static_cast<std::size_t>(ticket.layer) + 1));
      entry = &layers[ticket.layer].emplace_back();
    }
    *entry = {ticket.page, request.ref.generation, State::kPending, request.wanted_at, {}};
    auto& tickets = under_way_[RefKey{request.ref.key, request.ref.generation}].tickets;
    if (tickets.empty()) refs.push_back(request.ref);
    tickets.push_back(ticket);
  }
  if (!refs.empty()) store_->Fetch(refs, deadline);
}

const PageFetcher::Ring* PageFetcher::FindRing(std::uint64_t sequence, int layer) const {
  const auto found = rings_.find(sequence);
  if (found == rings_.end() || layer >= std::ssize(found->second)) return nullptr;
  return &found->second[layer];
}

void PageFetcher::Expect(const RefKey& ref, std::uint64_t sequence, int layer) const {
  under_way_.prefetch(ref);
  if (const Ring* const ring = FindRing(sequence, layer)) Prefetch(*ring);
}

PageFetcher::Entry* PageFetcher::Find(const FetchTicket& ticket) {
  Ring* const ring = const_cast<Ring*>(FindRing(ticket.sequence, ticket.layer));
  if (ring == nullptr) return nullptr;
  const auto found = std::find_if(ring->begin(), ring->end(),
                                  [&](const Entry& entry) { return entry.page == ticket.page; });
  return found == ring->end() ? nullptr : &*found;
}

void PageFetcher::Settle(const RefKey& ref, std::shared_ptr<const std::byte> bytes) {
  const auto fetch = under_way_.find(ref);
  if (fetch == under_way_.end()) return;
  fetch->second.arrived.bytes = std::move(bytes);
  const FetchedPage& page = fetch->second.arrived;
  for (const FetchTicket& ticket : fetch->second.tickets) {
    Entry* const entry = Find(ticket);
    if (entry == nullptr || entry->generation != ref.second) continue;
    entry->state = page.bytes == nullptr ? State::kMissed : State::kReady;
    entry->fetched = page;
  }
  under_way_.erase(fetch);
}

void PageFetcher::CountFailure(const absl::Status& why) {
  if (absl::IsNotFound(why)) {
    ++failures_.absent;
  } else if (absl::IsDeadlineExceeded(why)) {
    ++failures_.late;
  } else {
    ++failures_.unavailable;
  }
}

void PageFetcher::SettleCopies(absl::Span<PageIntake::Copy> copies) {
  for (std::size_t i = 0; i < copies.size(); ++i) {
    if (i + kAhead < copies.size()) {
      const kernels::PageIdentity& soon = copies[i + kAhead].identity;
      // A page is mostly asked for by the sequence that has made it.
      Expect({soon.key, soon.generation}, soon.key.sequence, soon.key.layer);
    }
    PageIntake::Copy& copy = copies[i];
    if (copy.bytes == nullptr) ++failures_.corrupt;
    Settle({copy.identity.key, copy.identity.generation}, std::move(copy.bytes));
  }
}

absl::Status PageFetcher::TakeIn(std::vector<PageIntake::Arrival> arrivals) {
  std::vector<RefKey> refs;
  refs.reserve(arrivals.size());
  for (const PageIntake::Arrival& page : arrivals) {
    refs.emplace_back(page.identity.key, page.identity.generation);
  }
  const absl::Status started = intake_->Start(std::move(arrivals));
  if (!absl::IsResourceExhausted(started)) return started;
  failures_.unplaced += refs.size();
  for (const RefKey& ref : refs) Settle(ref, nullptr);
  return absl::OkStatus();
}

absl::Status PageFetcher::Poll() {
  std::vector<PageIntake::Arrival> arrivals;
  std::vector<cache_service::FetchResult> results = store_->TakeFetched();
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (i + kAhead < results.size()) {
      const cache_service::PageRef& soon = results[i + kAhead].page;
      under_way_.prefetch(RefKey{soon.key, soon.generation});
    }
    cache_service::FetchResult& result = results[i];
    const RefKey ref{result.page.key, result.page.generation};
    const auto fetch = under_way_.find(ref);
    if (fetch == under_way_.end()) continue;
    if (!result.pin.ok()) {
      CountFailure(result.pin.status());
      Settle(ref, nullptr);
      continue;
    }
    fetch->second.arrived = {result.header.tag, result.header.bytes, nullptr};
    arrivals.push_back(
        {{result.page.key, result.page.generation}, result.header.tag, *std::move(result.pin)});
  }
  if (!arrivals.empty()) PB_RETURN_IF_ERROR(TakeIn(std::move(arrivals)));
  PB_ASSIGN_OR_RETURN(auto copies, intake_->Poll());
  SettleCopies(absl::MakeSpan(copies));
  return absl::OkStatus();
}

absl::StatusOr<bool> PageFetcher::Wait(absl::Time deadline) {
  PB_RETURN_IF_ERROR(Poll());
  if (under_way_.empty()) return false;
  while (!under_way_.empty() && store_->WaitFetched(deadline)) PB_RETURN_IF_ERROR(Poll());
  PB_ASSIGN_OR_RETURN(auto copies, intake_->Wait());
  SettleCopies(absl::MakeSpan(copies));
  failures_.late += under_way_.size();
  while (!under_way_.empty()) Settle(RefKey(under_way_.begin()->first), nullptr);
  return true;
}

PageFetcher::States PageFetcher::StatesOf(std::uint64_t sequence, int layer,
                                          absl::Span<const std::uint32_t> pages) const {
  States states(pages.size(), State::kMissed);
  if (pages.empty()) return states;
  const Ring* const ring = FindRing(sequence, layer);
  if (ring == nullptr) return states;
  for (const Entry& entry : *ring) {
    const auto at = std::find(pages.begin(), pages.end(), entry.page);
    if (at != pages.end()) states[at - pages.begin()] = entry.state;
  }
  return states;
}

PageFetcher::Taken PageFetcher::Take(const FetchTicket& ticket) {
  Entry* const entry = Find(ticket);
  if (entry == nullptr) return {};
  Taken taken{std::move(entry->fetched), entry->wanted_at};
  Ring& ring = rings_.at(ticket.sequence)[ticket.layer];
  *entry = std::move(ring.back());
  ring.pop_back();
  return taken;
}

void PageFetcher::Forget(std::uint64_t sequence) { rings_.erase(sequence); }

}  // namespace pinboard
