// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "transport/fabric/ucx/inbox.h"

#include <utility>

namespace pinboard::transport {

bool Inbox::Expects(std::uint64_t sequence) const {
  if (sequence < taken_ || sequence - taken_ >= kMaxAhead) return false;
  const std::uint64_t ahead = sequence - taken_;
  return ahead >= window_.size() || !window_[ahead].has_value();
}

void Inbox::Deliver(std::uint64_t sequence, Message message) {
  const std::uint64_t ahead = sequence - taken_;
  if (ahead >= window_.size()) window_.resize(ahead + 1);
  window_[ahead] = std::move(message);
}

std::optional<Inbox::Message> Inbox::Take() {
  if (window_.empty() || !window_.front().has_value()) return std::nullopt;
  std::optional<Message> message = std::move(window_.front());
  window_.pop_front();
  ++taken_;
  return message;
}

}  // namespace pinboard::transport
