// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/protocol/messages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>

#include "tests/cache_service/test_pages.h"
#include "tests/support/seeded_random.h"

namespace pinboard::cache_service {
namespace {

/// One of each message with every field set, and its encoding.
template <typename Message>
Message Example();

template <>
Hello Example() {
  return {1, 2, 3, 4, {5, 6, 7}, "rank 0"};
}
template <>
Challenge Example() {
  return {1, 2, 3, {4, 5, 6}};
}
template <>
Proof Example() {
  return {{1, 2}, {3, 4}, "acme", "k1", {5, 6}};
}
template <>
Withdrawn Example() {
  return {{1, 2, 3}};
}
template <>
Welcome Example() {
  return {1, 2, 3, 4, 5, 6, 7};
}
template <>
Segments Example() {
  return {{{1, 2, {std::byte{3}, std::byte{4}}}, {5, 6, {}}}};
}
template <>
LeaseRequest Example() {
  return {1, 2};
}
template <>
LeaseAhead Example() {
  return {1, 2};
}
template <>
LeaseReply Example() {
  return {8, "full", {{1, 2, 3}, {4, 5, 6}}};
}
template <>
Publish Example() {
  return {{{1, TestHeader(TestPage(2), -3)}, {4, TestHeader(TestPage(5, 6), 7)}}};
}
template <>
ReturnSlabs Example() {
  return {{1, 2, 3}};
}
template <>
Fetch Example() {
  return {{TestPage(1), TestPage(2, 3)}};
}
template <>
FetchReply Example() {
  return {{{1, MissCause::kNone, {2, 3, 4}, TestHeader(TestPage(5), 6)},
           {7, MissCause::kEvicted, {}, {}}}};
}
template <>
FetchHits Example() {
  return {{{1, {2, 3, 4}, TestHeader(TestPage(5), 6).fetched()}, {7, {8, 9, 10}, {11, 12, -13}}}};
}
template <>
FetchMisses Example() {
  return {{{1, MissCause::kEvicted}, {2, MissCause::kUnknown}}};
}
template <>
Unpin Example() {
  return {{1, 2}};
}
template <>
Drop Example() {
  return {{TestPage(1)}};
}
template <>
DropSequence Example() {
  return {0x1122334455667788};
}
template <>
StatsRequest Example() {
  return {};
}
template <>
StatsReply Example() {
  return {{{"pages", 1}, {"pins", 2}}};
}
template <>
Inspect Example() {
  return {0x1122334455667788};
}
template <>
InspectReply Example() {
  return {1, {{2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, -15}, {16}}};
}
template <>
Goodbye Example() {
  return {1};
}
template <>
Introduce Example() {
  return {"west-1", 7};
}
template <>
PeerGroups Example() {
  return {{{1, kGroupHasClients}, {2, kGroupHasClients | kGroupHasPages}}};
}
template <>
Offer Example() {
  return {OfferKind::kSpill, {{1, {2, 3, 4}, TestHeader(TestPage(5, 6), -7)}}};
}
template <>
OfferTaken Example() {
  return {{{1, OfferOutcome::kTaken}, {2, OfferOutcome::kCorrupt}}};
}
template <>
PeerFetch Example() {
  return {1, {TestPage(2), TestPage(3, 4)}};
}
template <>
PeerDrop Example() {
  return {1, {TestPage(2)}};
}
template <>
PeerDropSequence Example() {
  return {1, 0x1122334455667788};
}
template <>
Error Example() {
  return {9, "why"};
}

template <typename Message>
class MessagesTest : public ::testing::Test {
 protected:
  const std::vector<std::byte> bytes_ = EncodeMessage(0x0102030405060708, Example<Message>());
};

using AllMessages =
    ::testing::Types<Hello, Challenge, Proof, Welcome, Segments, Withdrawn, LeaseRequest,
                     LeaseAhead, LeaseReply, Publish, ReturnSlabs, Fetch, FetchReply, FetchHits,
                     FetchMisses, Unpin, Drop, DropSequence, StatsRequest, StatsReply, Inspect,
                     InspectReply, Goodbye, Introduce, PeerGroups, Offer, OfferTaken, PeerFetch,
                     PeerDrop, PeerDropSequence, Error>;
TYPED_TEST_SUITE(MessagesTest, AllMessages);

TYPED_TEST(MessagesTest, ComesOutAsItWentIn) {
  const auto decoded = DecodeMessage<TypeParam>(this->bytes_);
  ASSERT_EQ(decoded.status(), absl::OkStatus());
  EXPECT_EQ(decoded->request, 0x0102030405060708);
  EXPECT_EQ(EncodeMessage(decoded->request, decoded->message), this->bytes_);
}

TYPED_TEST(MessagesTest, EveryTruncationIsRefused) {
  const absl::Span<const std::byte> bytes = this->bytes_;
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_TRUE(absl::IsInvalidArgument(DecodeMessage<TypeParam>(bytes.subspan(0, size)).status()));
  }
}

TYPED_TEST(MessagesTest, EveryTruncationWithAMatchingLengthIsRefused) {
  std::vector<std::byte> bytes = this->bytes_;
  while (bytes.size() > 16) {
    bytes.pop_back();
    const auto body = static_cast<std::uint32_t>(bytes.size() - 16);
    std::memcpy(bytes.data() + 4, &body, sizeof(body));  // the tests run on little-endian hosts
    EXPECT_FALSE(DecodeMessage<TypeParam>(bytes).ok());
  }
}

TYPED_TEST(MessagesTest, TrailingBytesAreRefused) {
  std::vector<std::byte> bytes = this->bytes_;
  bytes.push_back(std::byte{0});
  EXPECT_FALSE(DecodeMessage<TypeParam>(bytes).ok());
}

TYPED_TEST(MessagesTest, RandomDamageIsRefusedOrDecodesToWhatItSays) {
  std::mt19937 random(TestSeed());
  for (int round = 0; round < 2000; ++round) {
    std::vector<std::byte> bytes = this->bytes_;
    const int flips = 1 + static_cast<int>(random() % 8);
    for (int i = 0; i < flips; ++i) {
      bytes[random() % bytes.size()] ^= static_cast<std::byte>(1U << random() % 8);
    }
    const auto decoded = DecodeMessage<TypeParam>(bytes);
    if (!decoded.ok()) continue;
    EXPECT_EQ(EncodeMessage(decoded->request, decoded->message), bytes);
  }
}

TEST(MessagesTest, BytesLieAsDocumented) {
  const std::vector<std::byte> bytes = EncodeMessage(0x11, Drop{{TestPage(0x22, 0x33, 0x44)}});
  const std::vector<int> expected = {1,    11, 0, 0, 24, 0, 0, 0,
                                     0x11, 0,  0, 0, 0,  0, 0, 0,  // envelope
                                     1,    0,  0, 0,               // one page
                                     0x44, 0,  0, 0, 0,  0, 0, 0,  // sequence
                                     0x22, 0,  0, 0, 3,  0, 1, 0,  // page, layer, shard
                                     0x33, 0,  0, 0};              // generation
  ASSERT_EQ(bytes.size(), expected.size());
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    EXPECT_EQ(std::to_integer<int>(bytes[i]), expected[i]) << "at byte " << i;
  }
}

TEST(MessagesTest, AnExtentLiesAsDocumented) {
  const std::vector<std::byte> bytes = EncodeMessage(1, Example<InspectReply>());
  constexpr std::size_t kExtent = 16 + 8 + 4;  // envelope, next cursor, count
  constexpr std::size_t kOffsets[] = {0, 8, 16, 18, 20, 22, 26, 30, 34, 38, 40, 42, 44};
  std::uint8_t value = 2;
  for (const std::size_t offset : kOffsets) {
    EXPECT_EQ(std::to_integer<int>(bytes.at(kExtent + offset)), value++) << "at byte " << offset;
  }
  EXPECT_EQ(bytes.at(kExtent + 52), static_cast<std::byte>(-15));
  EXPECT_EQ(bytes.at(kExtent + 60), std::byte{16}) << "the next one";
}

/// The seeds of the fuzz target were encoded by hand, from docs/wire_protocol.md.
TYPED_TEST(MessagesTest, BytesEncodedByHandAreAccepted) {
  const std::filesystem::path seeds =
      std::filesystem::path(std::getenv("PINBOARD_SOURCE_DIR")) / "tests/fuzz/corpus/message";
  int accepted = 0;
  for (const auto& entry : std::filesystem::directory_iterator(seeds)) {
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    const auto bytes =
        absl::MakeConstSpan(reinterpret_cast<const std::byte*>(text.data()), text.size());
    if (bytes.at(1) != static_cast<std::byte>(TypeParam::kType)) continue;
    const auto decoded = DecodeMessage<TypeParam>(bytes);
    if (entry.path().filename() == "one_byte_too_many") {
      EXPECT_TRUE(absl::IsInvalidArgument(decoded.status()));
      continue;
    }
    ASSERT_EQ(decoded.status(), absl::OkStatus()) << entry.path();
    EXPECT_EQ(decoded->request, 7);
    EXPECT_EQ(absl::MakeConstSpan(EncodeMessage(7, decoded->message)), bytes) << entry.path();
    ++accepted;
  }
  EXPECT_GE(accepted, 1);
}

TEST(MessagesTest, AHugeCountAllocatesNothing) {
  std::vector<std::byte> bytes = EncodeMessage(1, Publish{});
  for (int i = 16; i < 20; ++i) bytes[i] = std::byte{0xff};
  EXPECT_TRUE(absl::IsInvalidArgument(DecodeMessage<Publish>(bytes).status()));
}

}  // namespace
}  // namespace pinboard::cache_service
