// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Contributions to collectives as messages, and those that have arrived.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "absl/types/span.h"
#include "transport/collective/collective_kind.h"

namespace pinboard::transport {

/// A collective has one or two phases: the exchange (of whole contributions, or of the chunks that
/// each rank adds up) and the gathering of added chunks.
enum class Phase : std::uint8_t { kExchange = 0, kGather = 1 };

/// Leads every contribution; its bytes follow.
struct ContributionHeader {
  std::uint64_t number = 0;  // of the collective
  std::uint64_t bytes = 0;   // CollectiveShape
  CollectiveKind kind = CollectiveKind::kSumInt32;
  Phase phase = Phase::kExchange;
  std::uint8_t unused[6] = {};
};
static_assert(sizeof(ContributionHeader) == 24);

/// Contributions to the current collective and to later ones that faster ranks have begun. Buffers
/// are used again. Thread-compatible.
class Arrivals {
 public:
  struct Slot {
    bool present = false;
    CollectiveShape shape;
    std::vector<std::byte> bytes;
  };
  /// Further ahead than this cannot happen: a rank waits for the others in each collective, and one
  /// whose deadlines pass that often has been given up long since.
  static constexpr std::uint64_t kMaxAhead = 1 << 20;

  explicit Arrivals(int size) : size_(size) {}

  /// Takes a message of that rank. What is malformed, late or a repetition is dropped: false.
  bool Add(int rank, absl::Span<const std::byte> message);

  /// Contributions of the current collective; [rank].
  absl::Span<const Slot> current(Phase phase);
  std::uint64_t number() const { return number_; }
  /// The current collective is over: the next number is current.
  void Next();

 private:
  using Slots = std::array<std::vector<Slot>, 2>;  // [phase][rank]
  Slots& At(std::uint64_t ahead);

  int size_;
  std::uint64_t number_ = 0;
  std::deque<Slots> window_;  // [i] is collective number_ + i
  std::vector<Slots> idle_;
};

}  // namespace pinboard::transport
