// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What a client holds, by a number that it is given: found without a search.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "base/strong_id.h"

namespace pinboard::cache_service {

/// Names a lease, or a pin, within one link, across its connections, from Add until Take.
using HoldId = StrongId<struct HoldIdTag, std::uint64_t>;

/// Constant time, and no allocation once as much has been held before. Thread-compatible.
template <typename Held>
class HoldTable {
 public:
  HoldId Add(Held held) {
    if (free_.empty()) {
      places_.push_back(std::move(held));
      return HoldId(places_.size() - 1);
    }
    const HoldId hold = free_.back();
    free_.pop_back();
    places_[hold.value()] = std::move(held);
    return hold;
  }
  /// Requires it to be held; its name may be given again.
  Held Take(HoldId hold) {
    free_.push_back(hold);
    return std::exchange(places_[hold.value()], Held{});
  }
  bool empty() const { return free_.size() == places_.size(); }

 private:
  std::vector<Held> places_;
  std::vector<HoldId> free_;  // the next is last
};

}  // namespace pinboard::cache_service
