// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The pages of a member that ends, the best first.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "cache_service/inventory/inventory.h"

namespace pinboard::cache_service {

///   looking, some chunks at a time --all seen--> naming the best of them, each once
///      ^                |                                   |
///      |                +--found none--> done               |
///      +--------------------- none left --------------------+
///
/// However many pages there are, the names of a bounded number are kept. Thread-compatible.
class HandOver {
 public:
  static constexpr std::size_t kMostChosen = 65'536;

  /// `inventory` must outlive this.
  explicit HandOver(Inventory& inventory)
      : inventory_(inventory), left_(inventory.counts().published_pages) {}

  /// Looks at up to `chunks` chunks, where it is looking.
  void Look(std::uint32_t chunks);
  /// The best page that has not been named, or nothing where it is looking, or done.
  std::optional<NamedPage> Next();

  bool is_looking() const { return !done_ && chosen_.empty(); }
  bool is_done() const { return done_; }
  /// To be named yet, as the last look found them.
  std::uint64_t left() const { return left_; }

 private:
  struct Choice {
    std::int64_t value = 0;
    SlabId slab;
  };
  void Consider(const Choice& choice);
  void EndLook();

  Inventory& inventory_;
  std::uint32_t next_chunk_ = 0;
  std::uint64_t found_ = 0;
  std::vector<Choice> heap_;    // of this look; the lowest first
  std::vector<Choice> chosen_;  // ascending
  std::uint64_t left_;
  bool done_ = false;
};

}  // namespace pinboard::cache_service
