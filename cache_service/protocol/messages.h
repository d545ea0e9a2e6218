// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What client and service say to each other. docs/wire_protocol.md shows it byte by byte.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/strong_id.h"
#include "cache_service/page_store.h"
#include "cache_service/protocol/wire.h"

namespace pinboard::cache_service {

/// A leased or published slab in one life of the service: never reused, so a stale one is refused.
using SlabId = StrongId<struct SlabIdTag, std::uint64_t>;
/// One connection of one client, in one life of the service: random, so that it tells of no other.
using ClientId = StrongId<struct ClientTag, std::uint64_t>;
/// Clients that share pages: the ranks of one engine. Scopes PageKey::sequence.
using GroupId = StrongId<struct GroupTag, std::uint64_t>;

/// Versions of the message bodies that this build speaks; Hello and Welcome agree on one. The
/// envelope, Hello and Error never change.
inline constexpr std::uint16_t kMinProtocolVersion = 1;
inline constexpr std::uint16_t kMaxProtocolVersion = 1;

/// Also the fabric's message type.
enum class MessageType : std::uint8_t {
  kHello = 1,
  kWelcome = 2,
  kSegments = 3,
  kLease = 4,
  kLeaseReply = 5,
  kPublish = 6,
  kReturnSlabs = 7,
  kFetch = 8,
  kFetchReply = 9,
  kUnpin = 10,
  kDrop = 11,
  kDropSequence = 12,
  kStats = 13,
  kStatsReply = 14,
  kGoodbye = 15,
  kError = 16,
  kFetchMisses = 17,
  kChallenge = 18,
  kProof = 19,
  kWithdrawn = 20,
  kIntroduce = 21,
  kPeerGroups = 22,
  kOffer = 23,
  kOfferTaken = 24,
  kPeerFetch = 25,
  kPeerDrop = 26,
  kPeerDropSequence = 27,
  kLeaseAhead = 28,
  kInspect = 29,
  kInspectReply = 30,
  kFetchHits = 31,
};

/// Why a page cannot be had; kNone where it can.
enum class MissCause : std::uint8_t {
  kNone = 0,
  kUnknown = 1,     // never published in this life of the service, or its sequence was dropped
  kEvicted = 2,     // left to make room
  kDropped = 3,     // a client dropped it
  kGeneration = 4,  // another generation of the page is there
};
inline constexpr int kMissCauses = 5;
const char* MissCauseName(MissCause cause);

/// Where a slab lies: `offset` bytes into a segment announced before.
struct SlabLocation {
  std::uint64_t slab = 0;
  std::uint32_t segment = 0;
  std::uint64_t offset = 0;
};

/// A process, so that a lost connection can be told from a dead process (process_identity.h).
struct ProcessIdentity {
  std::uint64_t host = 0;
  std::uint32_t pid = 0;
  std::uint64_t start_ticks = 0;
  friend auto operator<=>(const ProcessIdentity&, const ProcessIdentity&) = default;
};

/// Client to service, first. The service picks a version in the range, or refuses.
struct Hello {
  static constexpr MessageType kType = MessageType::kHello;
  std::uint16_t min_version = kMinProtocolVersion;
  std::uint16_t max_version = kMaxProtocolVersion;
  std::uint64_t features = 0;  // those it has (negotiation.h)
  std::uint64_t group = 0;
  ProcessIdentity process;
  std::string name;
};

/// 32 random bytes, used once.
using Nonce = std::array<std::uint8_t, 32>;
/// HMAC-SHA-256.
using Digest = std::array<std::uint8_t, 32>;

/// Service to client, after Hello, where the service has keys: the client is to prove that it has
/// one. Version, features and incarnation are those of the Welcome that would follow.
struct Challenge {
  static constexpr MessageType kType = MessageType::kChallenge;
  std::uint16_t version = 0;
  std::uint64_t features = 0;
  std::uint64_t incarnation = 0;
  Nonce nonce{};
};
/// Client to service, once, then Welcome follows. No secret is in it.
struct Proof {
  static constexpr MessageType kType = MessageType::kProof;
  Nonce service_nonce{};  // of the Challenge that it answers
  Nonce client_nonce{};
  std::string tenant;
  std::string key_id;
  Digest mac{};  // access/challenge.h says of what
};

struct Welcome {
  static constexpr MessageType kType = MessageType::kWelcome;
  std::uint16_t version = 0;
  std::uint64_t features = 0;     // those both have
  std::uint64_t incarnation = 0;  // another one after each start of the service
  std::uint64_t client = 0;
  std::uint64_t host = 0;  // as in ProcessIdentity: whether mapping its memory can be expected
  std::uint32_t page_alignment = 0;
  std::uint64_t max_page_bytes = 0;
};

struct SegmentEntry {
  std::uint32_t segment = 0;
  std::uint64_t bytes = 0;
  std::vector<std::byte> remote_key;
};
/// Service to client: always before the first location that names one of these segments.
struct Segments {
  static constexpr MessageType kType = MessageType::kSegments;
  std::vector<SegmentEntry> segments;
};

/// Service to client, with kFeatureWithdrawal: nothing is, or will be, in these segments.
struct Withdrawn {
  static constexpr MessageType kType = MessageType::kWithdrawn;
  std::vector<std::uint32_t> segments;
};

struct LeaseRequest {
  static constexpr MessageType kType = MessageType::kLease;
  std::uint32_t count = 0;
  std::uint64_t bytes = 0;
};
/// The same for slabs that are not needed yet, with kFeatureLeasesAhead: refused where anybody
/// might miss them.
struct LeaseAhead {
  static constexpr MessageType kType = MessageType::kLeaseAhead;
  std::uint32_t count = 0;
  std::uint64_t bytes = 0;
};
/// `code` is an absl::StatusCode; all the slabs or none.
struct LeaseReply {
  static constexpr MessageType kType = MessageType::kLeaseReply;
  std::uint8_t code = 0;
  std::string text;
  std::vector<SlabLocation> slabs;
};

struct PublishedPage {
  std::uint64_t slab = 0;
  PageHeader header;
};
/// No reply: a page that could not be published is a later miss.
struct Publish {
  static constexpr MessageType kType = MessageType::kPublish;
  std::vector<PublishedPage> pages;
};

/// Ends leases without publishing.
struct ReturnSlabs {
  static constexpr MessageType kType = MessageType::kReturnSlabs;
  std::vector<std::uint64_t> slabs;
};

struct Fetch {
  static constexpr MessageType kType = MessageType::kFetch;
  std::vector<PageRef> pages;
};
/// Page `index` of the request: pinned at `location`, or a miss.
struct FetchedPage {
  std::uint32_t index = 0;
  MissCause miss = MissCause::kNone;
  SlabLocation location;
  PageHeader header;
};
/// One or more of this, FetchHits and FetchMisses per Fetch, each page exactly once among them.
struct FetchReply {
  static constexpr MessageType kType = MessageType::kFetchReply;
  std::vector<FetchedPage> pages;
};
/// Page `index` of the request, pinned at `location`.
struct FoundPage {
  std::uint32_t index = 0;
  SlabLocation location;
  FetchedHeader header;
};
/// Only to who has kFeatureShortHits, and never to a PeerFetch: who asks that publishes what it
/// reads, so it needs the whole header.
struct FetchHits {
  static constexpr MessageType kType = MessageType::kFetchHits;
  std::vector<FoundPage> pages;
};
struct MissedPage {
  std::uint32_t index = 0;
  MissCause miss = MissCause::kUnknown;
};
/// Only to who has kFeatureShortMisses.
struct FetchMisses {
  static constexpr MessageType kType = MessageType::kFetchMisses;
  std::vector<MissedPage> pages;
};

/// One entry per pin; a slab pinned twice is named twice.
struct Unpin {
  static constexpr MessageType kType = MessageType::kUnpin;
  std::vector<std::uint64_t> slabs;
};

/// Forgets these pages and their older generations.
struct Drop {
  static constexpr MessageType kType = MessageType::kDrop;
  std::vector<PageRef> pages;
};

struct DropSequence {
  static constexpr MessageType kType = MessageType::kDropSequence;
  std::uint64_t sequence = 0;
};

/// Asked by name, so that old and new programs understand each other.
struct StatsRequest {
  static constexpr MessageType kType = MessageType::kStats;
};
struct StatsEntry {
  std::string name;
  std::uint64_t value = 0;
};
struct StatsReply {
  static constexpr MessageType kType = MessageType::kStatsReply;
  std::vector<StatsEntry> entries;
};

/// With kFeatureInspection: what the tenant has, in all its groups, from `cursor` on. 0: from the
/// beginning.
struct Inspect {
  static constexpr MessageType kType = MessageType::kInspect;
  std::uint64_t cursor = 0;
};
/// What is known of the pages of one sequence and shard in a block of 16 layers by 16 page numbers;
/// at least one is, or was, there.
struct InspectedExtent {
  std::uint64_t group = 0;
  std::uint64_t sequence = 0;
  std::uint16_t shard = 0;
  // Lowest and highest of the pages that are, or were, there.
  std::uint16_t first_layer = 0;
  std::uint16_t last_layer = 0;
  std::uint32_t first_page = 0;
  std::uint32_t last_page = 0;
  std::uint32_t lowest_generation = 0;
  std::uint32_t highest_generation = 0;
  std::uint16_t evicted = 0;  // pages that are gone, by cause
  std::uint16_t dropped = 0;
  std::uint16_t pages = 0;  // that can be fetched; so are the next two
  std::uint64_t bytes = 0;
  std::int64_t information = 0;  // sum of PageHeader::mean_information
};
/// `next` is the cursor to go on with, above the one asked for; 0: that was all. Each extent that
/// is there from the first question to the last answer is told of exactly once.
struct InspectReply {
  static constexpr MessageType kType = MessageType::kInspectReply;
  std::uint64_t next = 0;
  std::vector<InspectedExtent> extents;
};

/// Ends everything that `client` holds: itself, before it closes, or an earlier connection of the
/// same process once nothing there writes or reads any more.
struct Goodbye {
  static constexpr MessageType kType = MessageType::kGoodbye;
  std::uint64_t client = 0;
};

// Between members, with kFeaturePeers: each is a client of each other one, once for each tenant.

/// Client to service, first after Welcome: which member it is. Its own group means nothing.
struct Introduce {
  static constexpr MessageType kType = MessageType::kIntroduce;
  std::string member;
  std::uint64_t incarnation = 0;
};

/// What the service has of a group.
inline constexpr std::uint8_t kGroupHasClients = 1;
inline constexpr std::uint8_t kGroupHasPages = 2;
struct PeerGroup {
  std::uint64_t group = 0;
  std::uint8_t has = 0;  // of the above
};
/// Service to client, when it changes: all groups of which it has something. A group's pages are
/// kept while any member says that it has clients of it.
struct PeerGroups {
  static constexpr MessageType kType = MessageType::kPeerGroups;
  std::vector<PeerGroup> groups;
};

enum class OfferKind : std::uint8_t {
  kCopy = 0,      // the service keeps its own
  kSpill = 1,     // to be taken only into room that is free; it is about to leave the service
  kHandOver = 2,  // the service ends
};
inline constexpr int kOfferKinds = 3;
struct OfferedPage {
  std::uint64_t group = 0;
  SlabLocation location;
  PageHeader header;
};
/// Service to client: these pages are pinned for it; it may read them and answers each.
struct Offer {
  static constexpr MessageType kType = MessageType::kOffer;
  OfferKind kind = OfferKind::kCopy;
  std::vector<OfferedPage> pages;
};

enum class OfferOutcome : std::uint8_t {
  kTaken = 0,
  kHad = 1,  // it, or a later generation
  kNoRoom = 2,
  kCorrupt = 3,  // its bytes do not match its tag
  kFailed = 4,   // it did not come, or is not wanted any more
};
inline constexpr int kOfferOutcomes = 5;
struct AnsweredPage {
  std::uint64_t slab = 0;
  OfferOutcome outcome = OfferOutcome::kTaken;
};
/// Client to service: ends the pins of the Offer.
struct OfferTaken {
  static constexpr MessageType kType = MessageType::kOfferTaken;
  std::vector<AnsweredPage> pages;
};

/// As Fetch, in any group, and answered at once: nothing is waited for, and no other member asked.
struct PeerFetch {
  static constexpr MessageType kType = MessageType::kPeerFetch;
  std::uint64_t group = 0;
  std::vector<PageRef> pages;
};

/// Service to client: what clients dropped there is to be dropped here too.
struct PeerDrop {
  static constexpr MessageType kType = MessageType::kPeerDrop;
  std::uint64_t group = 0;
  std::vector<PageRef> pages;
};
struct PeerDropSequence {
  static constexpr MessageType kType = MessageType::kPeerDropSequence;
  std::uint64_t group = 0;
  std::uint64_t sequence = 0;
};

/// Service to client, before it closes the connection. `code` is an absl::StatusCode.
struct Error {
  static constexpr MessageType kType = MessageType::kError;
  std::uint8_t code = 0;
  std::string text;
};

/// A message and the id that joins replies to their request (0 where there is no reply).
template <typename Message>
struct Envelope {
  std::uint64_t request = 0;
  Message message;
};

inline constexpr std::size_t kEnvelopeBytes = 16;

/// The whole payload of a fabric message: the envelope, then the body.
template <typename Message>
std::vector<std::byte> EncodeMessage(std::uint64_t request, const Message& message);

/// InvalidArgument: truncated, oversized, or of another type or envelope format.
template <typename Message>
absl::StatusOr<Envelope<Message>> DecodeMessage(absl::Span<const std::byte> payload);

/// Parts of these, for who writes and reads bodies otherwise (page_lists.h).
void WriteEnvelope(MessageType type, std::size_t body_bytes, std::uint64_t request, std::byte* to);
absl::StatusOr<Envelope<absl::Span<const std::byte>>> ReadEnvelope(
    MessageType expected, absl::Span<const std::byte> payload);
absl::Status Malformed(MessageType type);

}  // namespace pinboard::cache_service
