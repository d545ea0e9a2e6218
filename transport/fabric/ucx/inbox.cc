// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "transport/fabric/ucx/inbox.h"

#include <utility>

namespace pinboard::transport {

bool Inbox::Expects(std::uint64_t sequence) const {
  return sequence >= taken_ && sequence - taken_ < kMaxAhead && !early_.contains(sequence);
}

void Inbox::Deliver(std::uint64_t sequence, Message message) {
  early_.emplace(sequence, std::move(message));
}

std::optional<Inbox::Message> Inbox::Take() {
  const auto next = early_.find(taken_);
  if (next == early_.end()) return std::nullopt;
  std::optional<Message> message = std::move(next->second);
  early_.erase(next);
  ++taken_;
  return message;
}

}  // namespace pinboard::transport
