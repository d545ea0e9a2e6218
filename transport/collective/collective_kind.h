// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The collectives by name: what ranks compare before they add.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace pinboard::transport {

enum class CollectiveKind : std::uint8_t {
  kSumInt32 = 0,
  kSumFloat = 1,
  kAllGather = 2,
  kSumBFloat16 = 3
};

/// What a rank asked for: the same on every rank. `bytes` is one rank's contribution.
struct CollectiveShape {
  CollectiveKind kind = CollectiveKind::kSumInt32;
  std::uint64_t bytes = 0;
  friend bool operator==(const CollectiveShape&, const CollectiveShape&) = default;
};

/// "an all-gather of 64 bytes".
std::string ToString(const CollectiveShape& shape);

/// "rank 2", "ranks 1, 2 and 5".
class RankList {
 public:
  void Add(int rank);
  bool empty() const { return count_ == 0; }
  bool plural() const { return count_ > 1; }
  std::string ToString() const;

 private:
  std::string all_but_last_;
  std::string last_;
  int count_ = 0;
};

}  // namespace pinboard::transport
