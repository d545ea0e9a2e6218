// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Puts one peer's messages back into the order in which they were sent.
#pragma once

#include <cstdint>
#include <optional>

#include "absl/container/flat_hash_map.h"
#include "transport/fabric/ucx/payload.h"

namespace pinboard::transport {

/// UCX promises no order among active messages: a small one may overtake a large one in pieces.
/// Memory follows what has come, whatever numbers the sender gives. Thread-compatible.
class Inbox {
 public:
  struct Message {
    std::uint8_t type = 0;
    Payload payload;
  };
  /// Further ahead of the last delivered message than this is an error of the sender.
  static constexpr std::uint64_t kMaxAhead = 1 << 20;

  /// True if a message of that number may still be given.
  bool Expects(std::uint64_t sequence) const;
  /// Requires Expects(sequence).
  void Deliver(std::uint64_t sequence, Message message);
  /// The next message in order, if it is here.
  std::optional<Message> Take();
  /// Messages taken so far: also the number of the next one.
  std::uint64_t taken() const { return taken_; }

 private:
  absl::flat_hash_map<std::uint64_t, Message> early_;  // by number; the next may be among them
  std::uint64_t taken_ = 0;
};

}  // namespace pinboard::transport
