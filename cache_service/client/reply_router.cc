// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/client/reply_router.h"

#include <cstddef>
#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace pinboard::cache_service {

using transport::PeerId;

ReplyRouter::ReplyRouter(transport::Fabric& fabric) {
  Register<Challenge>(fabric);
  Register<Welcome>(fabric);
  Register<Segments>(fabric);
  Register<Withdrawn>(fabric);
  Register<LeaseReply>(fabric);
  Register<FetchReply>(fabric);
  Register<FetchHits>(fabric);
  Register<FetchMisses>(fabric);
  Register<Error>(fabric);
  Register<PeerGroups>(fabric);
  Register<Offer>(fabric);
  Register<PeerDrop>(fabric);
  Register<PeerDropSequence>(fabric);
}

template <typename Message>
void ReplyRouter::Register(transport::Fabric& fabric) {
  const auto receive = [this](PeerId peer, absl::Span<const std::byte> payload) {
    const auto client = clients_.find(peer);
    if (client == clients_.end()) return;  // closed; this was still under way
    ServiceReplies& replies = *client->second;
    absl::StatusOr<Incoming<Message>> message = ReadIncoming<Message>(payload);
    const absl::Status status = message.ok() ? replies.OnReply(*message) : message.status();
    if (!status.ok()) replies.OnBroken(status);
  };
  fabric.OnMessage(static_cast<std::uint8_t>(Message::kType), receive);
}

bool ReplyRouter::Closed(PeerId peer, const absl::Status& reason) {
  const auto node = clients_.extract(peer);
  if (node.empty()) return false;
  node.mapped()->OnClosed(reason);
  return true;
}

}  // namespace pinboard::cache_service
