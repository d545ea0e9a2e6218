// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/server/fetch_answer.h"

#include <algorithm>

#include "base/fault_point.h"
#include "cache_service/fault_points.h"
#include "cache_service/protocol/negotiation.h"
#include "cache_service/protocol/send_message.h"

namespace pinboard::cache_service {
namespace {

constexpr std::size_t kPagesOfAPart = 128;

}  // namespace

FetchAnswer::FetchAnswer(transport::Fabric& fabric, transport::PeerId peer, std::uint64_t features,
                         std::uint64_t request, std::size_t pages)
    : fabric_(fabric),
      peer_(peer),
      short_hits_((features & kFeatureShortHits) != 0),
      short_misses_((features & kFeatureShortMisses) != 0),
      request_(request),
      pages_(std::min(pages, kPagesOfAPart)),
      hits_(std::min(pages, kPagesOfAPart)) {}

void FetchAnswer::Add(std::uint32_t index, const Inventory::PinResult& pinned) {
  if (pinned.miss == MissCause::kNone) {
    FaultPoint(fault::kFetchPinned);
    const SlabLocation location{pinned.slab.slab.value(), pinned.slab.place.segment,
                                pinned.slab.place.offset};
    if (short_hits_) {
      hits_.Add(index, location, pinned.header->fetched());
    } else {
      pages_.Add(index, pinned.miss, location, *pinned.header);
    }
  } else if (short_misses_) {
    misses_.pages.push_back({index, pinned.miss});
  } else {
    pages_.Add(index, pinned.miss, SlabLocation{}, PageHeader{});
  }
  if (pages_.size() + hits_.size() + misses_.pages.size() == kPagesOfAPart) Send();
}

void FetchAnswer::Send() {
  if (!misses_.pages.empty()) {
    SendMessage(fabric_, peer_, request_, misses_);
    misses_.pages.clear();
  }
  if (hits_.size() > 0) SendEncoded(fabric_, peer_, hits_.Take(request_));
  if (pages_.size() > 0) SendEncoded(fabric_, peer_, pages_.Take(request_));
}

}  // namespace pinboard::cache_service
