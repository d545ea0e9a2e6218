// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The pages that could leave, lowest value first; put right only where it is looked at.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

#include "absl/container/btree_set.h"
#include "absl/functional/function_ref.h"
#include "cache_service/protocol/messages.h"

namespace pinboard::cache_service {

/// Values only rise while a page is in here, so a page is found again under the value it was added
/// with, and one that comes up first with a risen value goes back to where it belongs: using a page
/// costs the order nothing. Add, Remove and First are O(log pages); First puts back each page at
/// most once for each time its value rose. Thread-compatible.
class EvictionOrder {
 public:
  struct Entry {
    std::int64_t value = 0;
    SlabId slab;
    friend auto operator<=>(const Entry&, const Entry&) = default;
  };

  /// Requires the slab not to be in here.
  void Add(const Entry& entry) { entries_.insert(entry); }
  /// Requires this entry to be in here: with the value it was added, or last put back, with.
  void Remove(const Entry& entry) { entries_.erase(entry); }

  /// What to do with an entry that comes up: its value now, or nothing, and it leaves the order.
  using Judge = absl::FunctionRef<std::optional<std::int64_t>(const Entry&)>;
  /// The first entry under its value now; it stays in. Nothing where the order is empty. `judge` is
  /// told of every entry that is put back or leaves.
  std::optional<Entry> First(Judge judge) {
    while (!entries_.empty()) {
      const Entry entry = *entries_.begin();
      const std::optional<std::int64_t> value = judge(entry);
      if (value == entry.value) return entry;
      entries_.erase(entries_.begin());
      if (value.has_value()) entries_.insert({*value, entry.slab});
    }
    return std::nullopt;
  }

  std::size_t size() const { return entries_.size(); }

 private:
  absl::btree_set<Entry> entries_;
};

}  // namespace pinboard::cache_service
