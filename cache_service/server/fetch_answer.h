// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What a client is answered to one Fetch, in parts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "cache_service/inventory/inventory.h"
#include "cache_service/protocol/messages.h"
#include "cache_service/protocol/page_lists.h"
#include "transport/fabric/fabric.h"

namespace pinboard::cache_service {

/// A part leaves when it is full, so that the client reads it while the next pages are pinned.
/// Thread-compatible; `fabric` must outlive this.
class FetchAnswer {
 public:
  /// At most `pages` are to be added. `features`: those agreed on with the client.
  FetchAnswer(transport::Fabric& fabric, transport::PeerId peer, std::uint64_t features,
              std::uint64_t request, std::size_t pages);

  /// Page `index` of the request.
  void Add(std::uint32_t index, const Inventory::PinResult& pinned);
  /// What has not left yet.
  void Send();

 private:
  transport::Fabric& fabric_;
  const transport::PeerId peer_;
  const bool short_hits_;
  const bool short_misses_;
  const std::uint64_t request_;
  PageListWriter<FetchReply> pages_;  // what does not go into the next two
  PageListWriter<FetchHits> hits_;
  FetchMisses misses_;
};

}  // namespace pinboard::cache_service
