// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/protocol/page_lists.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <utility>
#include <vector>

#include "tests/cache_service/test_pages.h"
#include "tests/support/seeded_random.h"

namespace pinboard::cache_service {
namespace {

template <typename Message>
Message Example();

template <>
FetchReply Example() {
  return {{{1, MissCause::kNone, {2, 3, 4}, TestHeader(TestPage(5), 6)},
           {7, MissCause::kEvicted, {}, {}},
           {8, MissCause::kNone, {9, 10, 11}, TestHeader(TestPage(12, 13), -14)}}};
}
template <>
FetchHits Example() {
  return {{{1, {2, 3, 4}, TestHeader(TestPage(5), 6).fetched()}, {7, {8, 9, 10}, {11, 12, -13}}}};
}
template <>
Publish Example() {
  return {{{1, TestHeader(TestPage(2), -3)}, {4, TestHeader(TestPage(5, 6), 7)}}};
}

template <typename Message>
class PageListsTest : public ::testing::Test {
 protected:
  const Message message_ = Example<Message>();
  const std::vector<std::byte> bytes_ = EncodeMessage(7, message_);
};

std::vector<std::byte> BytesOf(const EncodedMessage& message) {
  return {message.bytes.get(), message.bytes.get() + message.size};
}

template <typename Message>
std::vector<std::byte> WrittenAgain(PageListReader<Message> reader) {
  PageListWriter<Message> writer(reader.size());
  for (const auto& page : reader.TakeAll()) writer.Add(page);
  return BytesOf(writer.Take(reader.request));
}

using Lists = ::testing::Types<FetchReply, FetchHits, Publish>;
TYPED_TEST_SUITE(PageListsTest, Lists);

TYPED_TEST(PageListsTest, PageByPageTheBytesAreThoseOfTheMessage) {
  PageListWriter<TypeParam> writer(5);
  for (int message = 0; message < 2; ++message) {
    for (const auto& page : this->message_.pages) writer.Add(page);
    EXPECT_EQ(writer.size(), this->message_.pages.size());
    const EncodedMessage written = writer.Take(7);
    EXPECT_EQ(written.type, TypeParam::kType);
    EXPECT_EQ(BytesOf(written), this->bytes_);
    EXPECT_EQ(writer.size(), 0);
  }
}

TYPED_TEST(PageListsTest, PagesComeOutAsTheyWentIn) {
  auto reader = PageListReader<TypeParam>::Read(this->bytes_);
  ASSERT_EQ(reader.status(), absl::OkStatus());
  EXPECT_EQ(reader->request, 7);
  EXPECT_EQ(reader->size(), this->message_.pages.size());
  EXPECT_EQ(WrittenAgain(*reader), this->bytes_);
  typename PageListReader<TypeParam>::Page page;
  while (!reader->empty()) reader->Next(page);
  EXPECT_EQ(reader->size(), 0);
}

TYPED_TEST(PageListsTest, WhatIsRefusedAsAMessageIsRefused) {
  std::mt19937 random(TestSeed());
  for (int round = 0; round < 4000; ++round) {
    std::vector<std::byte> bytes = this->bytes_;
    if (random() % 2 == 0) {
      bytes.resize(random() % (bytes.size() + 40));
      if (bytes.size() >= kEnvelopeBytes && random() % 2 == 0) {  // the envelope says so
        const auto body = static_cast<std::uint32_t>(bytes.size() - kEnvelopeBytes);
        std::memcpy(bytes.data() + 4, &body, sizeof(body));
      }
    } else {
      bytes[random() % (kEnvelopeBytes + 4)] ^= static_cast<std::byte>(1U << random() % 8);
    }
    const auto reader = PageListReader<TypeParam>::Read(bytes);
    const auto message = DecodeMessage<TypeParam>(bytes);
    ASSERT_EQ(reader.status(), message.status());
    if (!reader.ok() || reader->empty()) continue;
    ASSERT_EQ(WrittenAgain(*reader), bytes);
  }
}

TEST(PageListsTest, APageIsWrittenFromItsParts) {
  const FetchedPage page{1, MissCause::kNone, {2, 3, 4}, TestHeader(TestPage(5), 6)};
  PageListWriter<FetchReply> writer(1);
  writer.Add(page.index, page.miss, page.location, page.header);
  EXPECT_EQ(BytesOf(writer.Take(7)), EncodeMessage(7, FetchReply{{page}}));
}

TEST(PageListsTest, AFoundPageLiesAsDocumented) {
  PageListWriter<FetchHits> writer(1);
  writer.Add(FoundPage{1, {2, 3, 4}, {.tag = 5, .bytes = 6, .mean_information = 7}});
  const std::vector<std::byte> bytes = BytesOf(writer.Take(8));
  ASSERT_EQ(bytes.size(), kEnvelopeBytes + 4 + 40);
  const std::pair<std::size_t, int> documented[] = {{0, 1},  {4, 2},  {12, 3}, {16, 4},
                                                    {24, 6}, {28, 5}, {36, 7}};
  std::vector<int> expected(40);
  for (const auto& [offset, value] : documented) expected[offset] = value;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(std::to_integer<int>(bytes[kEnvelopeBytes + 4 + i]), expected[i]) << "at byte " << i;
  }
}

TEST(PageListsTest, AHeaderLiesAsDocumented) {
  PageHeader header{.key = {1, 2, 3, 4}, .generation = 5, .bytes = 6, .tag = 7};
  header.mean_information = 8;
  header.information = {9};
  header.information.back() = 10;
  header.positions = {11};
  header.positions.back() = 12;
  PageListWriter<Publish> writer(1);
  writer.Add(std::uint64_t{13}, header);
  const std::vector<std::byte> bytes = BytesOf(writer.Take(7));
  ASSERT_EQ(bytes.size(), kEnvelopeBytes + 4 + 172);
  const auto at = [&bytes](std::size_t offset) {
    return std::to_integer<int>(bytes[kEnvelopeBytes + 4 + offset]);
  };
  int sum = 0;
  for (std::size_t offset = 0; offset < 172; ++offset) sum += at(offset);
  EXPECT_EQ(sum, 91) << "the other bytes are zero";
  const std::pair<std::size_t, int> documented[] = {
      {0, 13}, {8, 1},  {16, 2}, {20, 3},   {22, 4},   {24, 5},  {28, 6},
      {32, 7}, {40, 8}, {44, 9}, {104, 10}, {108, 11}, {168, 12}};
  for (const auto& [offset, value] : documented) EXPECT_EQ(at(offset), value) << offset;
}

}  // namespace
}  // namespace pinboard::cache_service
