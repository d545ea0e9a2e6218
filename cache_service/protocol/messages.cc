// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/protocol/messages.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "cache_service/protocol/page_fields.h"

namespace pinboard::cache_service {
namespace {

constexpr std::uint8_t kEnvelopeFormat = 1;

}  // namespace

// As page_fields.h, for all other structures.
template <Is<ProcessIdentity> T>
constexpr void Fields(T& v, auto& io) {
  io(v.host, v.pid, v.start_ticks);
}
template <Is<Hello> T>
constexpr void Fields(T& v, auto& io) {
  io(v.min_version, v.max_version, v.features, v.group, v.process, v.name);
}
template <Is<Challenge> T>
constexpr void Fields(T& v, auto& io) {
  io(v.version, v.features, v.incarnation, v.nonce);
}
template <Is<Proof> T>
constexpr void Fields(T& v, auto& io) {
  io(v.service_nonce, v.client_nonce, v.tenant, v.key_id, v.mac);
}
template <Is<Welcome> T>
constexpr void Fields(T& v, auto& io) {
  io(v.version, v.features, v.incarnation, v.client, v.host, v.page_alignment, v.max_page_bytes);
}
template <Is<SegmentEntry> T>
constexpr void Fields(T& v, auto& io) {
  io(v.segment, v.bytes, v.remote_key);
}
template <Is<Segments> T>
constexpr void Fields(T& v, auto& io) {
  io(v.segments);
}
template <Is<Withdrawn> T>
constexpr void Fields(T& v, auto& io) {
  io(v.segments);
}
template <Is<LeaseRequest> T>
constexpr void Fields(T& v, auto& io) {
  io(v.count, v.bytes);
}
template <Is<LeaseAhead> T>
constexpr void Fields(T& v, auto& io) {
  io(v.count, v.bytes);
}
template <Is<LeaseReply> T>
constexpr void Fields(T& v, auto& io) {
  io(v.code, v.text, v.slabs);
}
template <Is<Publish> T>
constexpr void Fields(T& v, auto& io) {
  io(v.pages);
}
template <Is<ReturnSlabs> T>
constexpr void Fields(T& v, auto& io) {
  io(v.slabs);
}
template <Is<Fetch> T>
constexpr void Fields(T& v, auto& io) {
  io(v.pages);
}
template <Is<FetchReply> T>
constexpr void Fields(T& v, auto& io) {
  io(v.pages);
}
template <Is<FetchHits> T>
constexpr void Fields(T& v, auto& io) {
  io(v.pages);
}
template <Is<MissedPage> T>
constexpr void Fields(T& v, auto& io) {
  io(v.index, v.miss);
}
template <Is<FetchMisses> T>
constexpr void Fields(T& v, auto& io) {
  io(v.pages);
}
template <Is<Unpin> T>
constexpr void Fields(T& v, auto& io) {
  io(v.slabs);
}
template <Is<Drop> T>
constexpr void Fields(T& v, auto& io) {
  io(v.pages);
}
template <Is<DropSequence> T>
constexpr void Fields(T& v, auto& io) {
  io(v.sequence);
}
template <Is<StatsRequest> T>
constexpr void Fields(T&, auto&) {}
template <Is<StatsEntry> T>
constexpr void Fields(T& v, auto& io) {
  io(v.name, v.value);
}
template <Is<StatsReply> T>
constexpr void Fields(T& v, auto& io) {
  io(v.entries);
}
template <Is<Inspect> T>
constexpr void Fields(T& v, auto& io) {
  io(v.cursor);
}
template <Is<InspectedExtent> T>
constexpr void Fields(T& v, auto& io) {
  io(v.group, v.sequence, v.shard, v.first_layer, v.last_layer, v.first_page, v.last_page,
     v.lowest_generation, v.highest_generation, v.evicted, v.dropped, v.pages, v.bytes,
     v.information);
}
template <Is<InspectReply> T>
constexpr void Fields(T& v, auto& io) {
  io(v.next, v.extents);
}
template <Is<Goodbye> T>
constexpr void Fields(T& v, auto& io) {
  io(v.client);
}
template <Is<Introduce> T>
constexpr void Fields(T& v, auto& io) {
  io(v.member, v.incarnation);
}
template <Is<PeerGroup> T>
constexpr void Fields(T& v, auto& io) {
  io(v.group, v.has);
}
template <Is<PeerGroups> T>
constexpr void Fields(T& v, auto& io) {
  io(v.groups);
}
template <Is<OfferedPage> T>
constexpr void Fields(T& v, auto& io) {
  io(v.group, v.location, v.header);
}
template <Is<Offer> T>
constexpr void Fields(T& v, auto& io) {
  io(v.kind, v.pages);
}
template <Is<AnsweredPage> T>
constexpr void Fields(T& v, auto& io) {
  io(v.slab, v.outcome);
}
template <Is<OfferTaken> T>
constexpr void Fields(T& v, auto& io) {
  io(v.pages);
}
template <Is<PeerFetch> T>
constexpr void Fields(T& v, auto& io) {
  io(v.group, v.pages);
}
template <Is<PeerDrop> T>
constexpr void Fields(T& v, auto& io) {
  io(v.group, v.pages);
}
template <Is<PeerDropSequence> T>
constexpr void Fields(T& v, auto& io) {
  io(v.group, v.sequence);
}
template <Is<Error> T>
constexpr void Fields(T& v, auto& io) {
  io(v.code, v.text);
}

const char* MissCauseName(MissCause cause) {
  switch (cause) {
    case MissCause::kNone:
      return "none";
    case MissCause::kUnknown:
      return "unknown";
    case MissCause::kEvicted:
      return "evicted";
    case MissCause::kDropped:
      return "dropped";
    case MissCause::kGeneration:
      return "generation";
  }
  return "invalid";
}

void WriteEnvelope(MessageType type, std::size_t body_bytes, std::uint64_t request, std::byte* to) {
  FixedWriter writer(to);
  writer(kEnvelopeFormat, type, std::uint16_t{0}, static_cast<std::uint32_t>(body_bytes), request);
}

absl::StatusOr<Envelope<absl::Span<const std::byte>>> ReadEnvelope(
    MessageType expected, absl::Span<const std::byte> payload) {
  if (payload.size() < kEnvelopeBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("a message of ", payload.size(), " bytes is shorter than its envelope"));
  }
  std::uint8_t format = 0;
  MessageType type{};
  std::uint16_t reserved = 0;
  std::uint32_t body_bytes = 0;
  std::uint64_t request = 0;
  FixedReader reader(payload.data());
  reader(format, type, reserved, body_bytes, request);
  const absl::Span<const std::byte> body = payload.subspan(kEnvelopeBytes);
  if (format != kEnvelopeFormat || type != expected || reserved != 0 || body_bytes != body.size()) {
    return absl::InvalidArgumentError(absl::StrCat("a message of type ", static_cast<int>(expected),
                                                   " has an envelope that contradicts it"));
  }
  return Envelope<absl::Span<const std::byte>>{request, body};
}

absl::Status Malformed(MessageType type) {
  return absl::InvalidArgumentError(
      absl::StrCat("the body of a message of type ", static_cast<int>(type), " is malformed"));
}

template <typename Message>
std::vector<std::byte> EncodeMessage(std::uint64_t request, const Message& message) {
  ByteWriter writer(kEnvelopeBytes);
  writer(message);
  std::vector<std::byte> bytes = writer.Take();
  WriteEnvelope(Message::kType, bytes.size() - kEnvelopeBytes, request, bytes.data());
  return bytes;
}

template <typename Message>
absl::StatusOr<Envelope<Message>> DecodeMessage(absl::Span<const std::byte> payload) {
  const absl::StatusOr<Envelope<absl::Span<const std::byte>>> body =
      ReadEnvelope(Message::kType, payload);
  if (!body.ok()) return body.status();
  Envelope<Message> envelope{body->request, {}};
  ByteReader reader(body->message);
  reader(envelope.message);
  if (!reader.ok() || reader.remaining() != 0) return Malformed(Message::kType);
  return envelope;
}

// NOLINTBEGIN(bugprone-macro-parentheses): `Message` is a template's argument.
#define PB_INSTANTIATE(Message)                                                          \
  template std::vector<std::byte> EncodeMessage<Message>(std::uint64_t, const Message&); \
  template absl::StatusOr<Envelope<Message>> DecodeMessage<Message>(absl::Span<const std::byte>)
PB_INSTANTIATE(Hello);
PB_INSTANTIATE(Challenge);
PB_INSTANTIATE(Proof);
PB_INSTANTIATE(Welcome);
PB_INSTANTIATE(Segments);
PB_INSTANTIATE(Withdrawn);
PB_INSTANTIATE(LeaseRequest);
PB_INSTANTIATE(LeaseAhead);
PB_INSTANTIATE(LeaseReply);
PB_INSTANTIATE(Publish);
PB_INSTANTIATE(ReturnSlabs);
PB_INSTANTIATE(Fetch);
PB_INSTANTIATE(FetchReply);
PB_INSTANTIATE(FetchHits);
PB_INSTANTIATE(FetchMisses);
PB_INSTANTIATE(Unpin);
PB_INSTANTIATE(Drop);
PB_INSTANTIATE(DropSequence);
PB_INSTANTIATE(StatsRequest);
PB_INSTANTIATE(StatsReply);
PB_INSTANTIATE(Inspect);
PB_INSTANTIATE(InspectReply);
PB_INSTANTIATE(Goodbye);
PB_INSTANTIATE(Introduce);
PB_INSTANTIATE(PeerGroups);
PB_INSTANTIATE(Offer);
PB_INSTANTIATE(OfferTaken);
PB_INSTANTIATE(PeerFetch);
PB_INSTANTIATE(PeerDrop);
PB_INSTANTIATE(PeerDropSequence);
PB_INSTANTIATE(Error);
#undef PB_INSTANTIATE
// NOLINTEND(bugprone-macro-parentheses)

}  // namespace pinboard::cache_service
