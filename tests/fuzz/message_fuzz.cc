// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Messages of the cache service's protocol: byte 1 of the envelope says which.
#include <vector>

#include "cache_service/protocol/messages.h"
#include "tests/fuzz/fuzz_target.h"

namespace pinboard::cache_service {
namespace {

/// What is accepted has one encoding: the bytes that came.
template <typename Message>
void Check(absl::Span<const std::byte> bytes) {
  if (bytes.size() < 2 || bytes[1] != static_cast<std::byte>(Message::kType)) return;
  const auto decoded = DecodeMessage<Message>(bytes);
  if (!decoded.ok()) return;
  const std::vector<std::byte> again = EncodeMessage(decoded->request, decoded->message);
  fuzz::Require(absl::MakeConstSpan(again) == bytes, "a message that is accepted has one encoding");
}

template <typename... Messages>
void CheckAll(absl::Span<const std::byte> bytes) {
  (Check<Messages>(bytes), ...);
}

}  // namespace
}  // namespace pinboard::cache_service

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace pinboard::cache_service;  // NOLINT: all the messages
  CheckAll<Hello, Challenge, Proof, Welcome, Segments, Withdrawn, LeaseRequest, LeaseAhead,
           LeaseReply, Publish, ReturnSlabs, Fetch, FetchReply, FetchMisses, Unpin, Drop,
           DropSequence, StatsRequest, StatsReply, Goodbye, Introduce, PeerGroups, Offer,
           OfferTaken, PeerFetch, PeerDrop, PeerDropSequence, Error>(
      {reinterpret_cast<const std::byte*>(data), size});
  return 0;
}
