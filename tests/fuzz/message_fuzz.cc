// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Messages of the cache service's protocol: byte 1 of the envelope says which.
#include <vector>

#include "cache_service/protocol/messages.h"
#include "cache_service/protocol/page_lists.h"
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

/// Read page by page, the same messages are accepted, and are the same pages.
template <typename Message>
void CheckPages(absl::Span<const std::byte> bytes) {
  if (bytes.size() < 2 || bytes[1] != static_cast<std::byte>(Message::kType)) return;
  auto reader = PageListReader<Message>::Read(bytes);
  fuzz::Require(reader.status() == DecodeMessage<Message>(bytes).status(), "one set of rules");
  if (!reader.ok() || reader->empty()) return;
  PageListWriter<Message> writer(reader->size());
  for (const auto& page : reader->TakeAll()) writer.Add(page);
  const EncodedMessage again = writer.Take(reader->request);
  fuzz::Require(absl::MakeConstSpan(again.bytes.get(), again.size) == bytes,
                "pages are written as they came");
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
           LeaseReply, Publish, ReturnSlabs, Fetch, FetchReply, FetchHits, FetchMisses, Unpin, Drop,
           DropSequence, StatsRequest, StatsReply, Inspect, InspectReply, Goodbye, Introduce,
           PeerGroups, Offer, OfferTaken, PeerFetch, PeerDrop, PeerDropSequence, Error>(
      {reinterpret_cast<const std::byte*>(data), size});
  const auto bytes = absl::MakeConstSpan(reinterpret_cast<const std::byte*>(data), size);
  CheckPages<FetchReply>(bytes);
  CheckPages<FetchHits>(bytes);
  CheckPages<Publish>(bytes);
  return 0;
}
