// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/replication/offer_queue.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/fault_point.h"
#include "base/status_macros.h"
#include "cache_service/fault_points.h"

namespace pinboard::cache_service {

void OfferQueue::Add(const OfferedName& name) {
  if (waiting_.size() >= kMostWaiting) return ended_(name, OfferEnd::kOverflow);
  waiting_.push_back(name);
  ++of_kind_[static_cast<int>(name.kind)];
}

void OfferQueue::Open(ClientId client, Send send) {
  client_ = client;
  send_ = std::move(send);
}

void OfferQueue::Close() {
  send_ = nullptr;
  for (const auto& [slab, offered] : offered_) waiting_.push_front(offered.name);
  offered_.clear();
  offered_bytes_ = 0;
  oldest_ = absl::InfiniteFuture();
}

std::deque<OfferedName> OfferQueue::TakeWaiting() {
  of_kind_.fill(0);
  return std::exchange(waiting_, {});
}

std::optional<OfferedPage> OfferQueue::PinNext(const OfferedName& name) {
  const Inventory::PinResult pinned = inventory_.PinToCopy(client_, name.group, name.page);
  if (pinned.miss != MissCause::kNone) return std::nullopt;  // it has left meanwhile
  const GrantedSlab& slab = pinned.slab;
  return OfferedPage{.group = name.group.value(),
                     .location = {slab.slab.value(), slab.place.segment, slab.place.offset},
                     .header = *pinned.header};
}

void OfferQueue::Fill(absl::Time now) {
  while (send_ && !waiting_.empty() && offered_.size() < kMostOffered &&
         offered_bytes_ < kMostOfferedBytes) {
    Offer offer{.kind = waiting_.front().kind};
    while (!waiting_.empty() && waiting_.front().kind == offer.kind &&
           offered_.size() < kMostOffered && offered_bytes_ < kMostOfferedBytes) {
      OfferedName name = std::move(waiting_.front());
      waiting_.pop_front();
      const std::optional<OfferedPage> page = PinNext(name);
      if (!page.has_value()) {
        Forget(name);
        continue;
      }
      const auto [entry, is_new] = offered_.try_emplace(page->location.slab);
      if (!is_new) {  // asked for twice: offered once
        inventory_.Unpin(client_, SlabId(page->location.slab)).IgnoreError();
        Forget(name);
        continue;
      }
      entry->second = {std::move(name), page->header.bytes, now};
      offered_bytes_ += page->header.bytes;
      offer.pages.push_back(*page);
    }
    if (offer.pages.empty()) continue;
    oldest_ = std::min(oldest_, now);
    FaultPoint(fault::kOffering);
    send_(offer);
    if (offer.kind == OfferKind::kHandOver) FaultPoint(fault::kHandOverSent);
  }
}

absl::Status OfferQueue::OnTaken(const OfferTaken& taken) {
  for (const AnsweredPage& answer : taken.pages) {
    const auto node = offered_.extract(answer.slab);
    if (node.empty() || static_cast<int>(answer.outcome) >= kOfferOutcomes) {
      return absl::InvalidArgumentError(
          absl::StrCat("an answer to an offer of slab ", answer.slab, " that was not made"));
    }
    const Offered& offered = node.mapped();
    offered_bytes_ -= offered.bytes;
    Forget(offered.name);
    PB_RETURN_IF_ERROR(inventory_.Unpin(client_, SlabId(answer.slab)));
    FaultPoint(fault::kOfferAnswered);
    if (offered.name.kind == OfferKind::kHandOver) FaultPoint(fault::kHandOverAnswered);
    ended_(offered.name, static_cast<OfferEnd>(answer.outcome));
  }
  oldest_ = absl::InfiniteFuture();
  for (const auto& [slab, offered] : offered_) oldest_ = std::min(oldest_, offered.since);
  return absl::OkStatus();
}

}  // namespace pinboard::cache_service
