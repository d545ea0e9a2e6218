// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Sending a structured message over a Fabric.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "cache_service/protocol/messages.h"
#include "cache_service/protocol/page_lists.h"
#include "transport/fabric/fabric.h"

namespace pinboard::cache_service {

/// `done` may be empty. On the fabric's thread.
inline void SendEncoded(transport::Fabric& fabric, transport::PeerId peer,
                        const EncodedMessage& message, transport::Fabric::Done done = nullptr) {
  // Large payloads live until the send is done.
  fabric.Send(peer, static_cast<std::uint8_t>(message.type), {message.bytes.get(), message.size},
              [bytes = message.bytes, done = std::move(done)](absl::Status status) {
                if (done) done(std::move(status));
              });
}

/// The same of a message that is encoded now.
template <typename Message>
void SendMessage(transport::Fabric& fabric, transport::PeerId peer, std::uint64_t request,
                 const Message& message, transport::Fabric::Done done = nullptr) {
  // Shared: std::function must be copyable, and large payloads live until the send is done.
  const auto payload =
      std::make_shared<const std::vector<std::byte>>(EncodeMessage(request, message));
  fabric.Send(peer, static_cast<std::uint8_t>(Message::kType), *payload,
              [payload, done = std::move(done)](absl::Status status) {
                if (done) done(std::move(status));
              });
}

}  // namespace pinboard::cache_service
