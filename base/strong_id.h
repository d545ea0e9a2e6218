// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Integers that cannot be mixed up: a layer is not a rank is not a sequence.
#pragma once

#include <compare>
#include <cstdint>
#include <ostream>
#include <utility>

namespace pinboard {

/// An integer of its own type. Hashable with Abseil; explicit both ways.
template <typename Tag, typename Int>
class StrongId {
 public:
  constexpr StrongId() = default;
  constexpr explicit StrongId(Int value) : value_(value) {}
  constexpr Int value() const { return value_; }

  friend constexpr auto operator<=>(StrongId, StrongId) = default;
  template <typename H>
  friend H AbslHashValue(H state, StrongId id) {
    return H::combine(std::move(state), id.value_);
  }
  friend std::ostream& operator<<(std::ostream& out, StrongId id) { return out << +id.value_; }

 private:
  Int value_ = 0;
};

}  // namespace pinboard
