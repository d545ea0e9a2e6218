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
#include "transport/fabric/fabric.h"

namespace pinboard::cache_service {

/// Encodes and sends; `done` may be empty. On the fabric's thread.
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
