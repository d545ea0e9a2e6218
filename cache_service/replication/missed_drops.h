// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What was dropped while another member was away.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <variant>

#include "cache_service/protocol/messages.h"

namespace pinboard::cache_service {

/// Drops that a member has not heard of, the first first. Single-threaded.
class MissedDrops {
 public:
  // Shared by the members it is to be told to, and with the sends of it.
  using Drop = std::shared_ptr<const std::variant<PeerDrop, PeerDropSequence>>;
  /// Of all drops together, a sequence counting as one.
  static constexpr std::size_t kMostPages = 262'144;

  /// Where there is no room, it is lost.
  void Add(Drop drop);
  bool empty() const { return drops_.empty(); }
  /// Requires one.
  Drop TakeFirst();
  void Clear();

  /// Pages and sequences, since the start.
  std::uint64_t lost() const { return lost_; }

 private:
  static std::size_t PagesOf(const Drop& drop);

  std::deque<Drop> drops_;
  std::size_t pages_ = 0;
  std::uint64_t lost_ = 0;
};

}  // namespace pinboard::cache_service
