// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Fetches that arrived before their page: publications of one rank race the fetches of another.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "cache_service/protocol/messages.h"
#include "transport/fabric/fabric.h"

namespace pinboard::cache_service {

/// One page of one Fetch that waits for the page's publication, or for another member's.
struct ParkedFetch {
  transport::PeerId peer;
  std::uint64_t request = 0;
  std::uint32_t index = 0;
  PageRef page;
  absl::Time expires;
  absl::Time grace_ends;  // its publication is not waited for beyond this
};

/// Parked fetches by the page they wait for. Thread-compatible.
class ParkedFetches {
 public:
  void Add(GroupId group, const ParkedFetch& fetch);
  /// All that wait for any generation of the page.
  std::vector<ParkedFetch> Take(GroupId group, const PageKey& key);
  std::vector<ParkedFetch> TakeExpired(absl::Time now);
  void RemovePeer(transport::PeerId peer);

  std::size_t size() const { return size_; }
  /// Not after the first expiry; InfiniteFuture where nothing is parked.
  absl::Time next_expiry() const { return size_ == 0 ? absl::InfiniteFuture() : next_expiry_; }

 private:
  using Name = std::pair<GroupId, PageKey>;

  template <typename Predicate>
  std::vector<ParkedFetch> TakeIf(Predicate predicate);

  absl::flat_hash_map<Name, std::vector<ParkedFetch>> by_page_;
  std::size_t size_ = 0;
  absl::Time next_expiry_ = absl::InfiniteFuture();
};

}  // namespace pinboard::cache_service
