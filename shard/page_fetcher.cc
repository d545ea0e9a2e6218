// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "shard/page_fetcher.h"

#include <utility>

#include "kernels/page_transfer/page_transfer.h"

namespace pinboard {
namespace {

std::shared_ptr<const FetchedPage> Verified(const cache_service::FetchResult& result) {
  if (!result.pin.ok()) return nullptr;
  if (result.header.key != result.page.key || result.header.generation != result.page.generation) {
    return nullptr;
  }
  const auto bytes = result.pin->bytes();
  auto page = std::make_shared<FetchedPage>();
  page->header = result.header;
  page->bytes.assign(bytes.begin(), bytes.end());
  if (page->bytes.size() % 8 != 0) return nullptr;
  const kernels::PageIdentity identity{result.page.key, result.page.generation};
  if (kernels::PageTag(page->bytes, identity) != result.header.tag) return nullptr;
  return page;
}

}  // namespace

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

void PageFetcher::Settle(const cache_service::PageRef& ref,
                         std::shared_ptr<const FetchedPage> page) {
  const auto waiting = waiting_.find(RefKey{ref.key, ref.generation});
  if (waiting == waiting_.end()) return;
  for (const FetchTicket& ticket : waiting->second) {
    const auto entry = tickets_.find(ticket);
    if (entry == tickets_.end()) continue;
    entry->second.state = page ? State::kReady : State::kMissed;
    entry->second.page = page;
  }
  waiting_.erase(waiting);
}

void PageFetcher::Poll() {
  for (const auto& result : store_->TakeFetched()) Settle(result.page, Verified(result));
}

bool PageFetcher::Wait(absl::Time deadline) {
  Poll();
  if (waiting_.empty()) return false;
  while (!waiting_.empty() && store_->WaitFetched(deadline)) Poll();
  while (!waiting_.empty()) {
    const RefKey late = waiting_.begin()->first;
    Settle({late.first, late.second}, nullptr);
  }
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
