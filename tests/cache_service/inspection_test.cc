// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A catalog gone through in answers, between which pages come and go.
#include "cache_service/inventory/inspection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <tuple>
#include <vector>

#include "tests/support/seeded_random.h"

namespace pinboard::cache_service {
namespace {

using Extents = std::vector<InspectedExtent>;
/// Group, sequence, shard, and the block's layers and page numbers.
using Name = std::tuple<std::uint64_t, std::uint64_t, std::uint16_t, std::uint32_t, std::uint32_t>;

constexpr GroupId kGroup{1};

PageRef Page(std::uint32_t page, std::uint16_t layer = 0, std::uint16_t shard = 0,
             std::uint64_t sequence = 7) {
  return {{.sequence = sequence, .page = page, .layer = layer, .shard = shard}, 1};
}

Name NameOf(GroupId group, const PageKey& key) {
  return {group.value(), key.sequence, key.shard, key.layer / kExtentLayers,
          key.page / kExtentPages};
}
Name NameOf(const InspectedExtent& told) {
  return NameOf(GroupId(told.group), {.sequence = told.sequence,
                                      .page = told.first_page,
                                      .layer = told.first_layer,
                                      .shard = told.shard});
}

class InspectionTest : public ::testing::Test {
 protected:
  InspectReply Ask(std::uint64_t cursor) {
    const InspectReply reply = InspectExtents(
        catalog_, cursor, [this](SlabIndex slab) -> const Slab& { return slabs_[slab.value()]; });
    EXPECT_TRUE(reply.next == 0 || reply.next > cursor);
    return reply;
  }
  void Put(const PageRef& page, GroupId group = kGroup) {
    catalog_.Insert(group, page, SlabIndex(0));
  }

  Catalog catalog_;
  std::vector<Slab> slabs_ = std::vector<Slab>(5);
};

TEST_F(InspectionTest, TellsOfPagesByWhatBecameOfThem) {
  for (std::uint32_t i = 0; i < 5; ++i) {
    slabs_[i].header.bytes = 1000 + i;
    slabs_[i].mean_information = -10 * static_cast<std::int32_t>(i);
    PageRef page = Page(20 + i, static_cast<std::uint16_t>(33 + 2 * i), 5);
    page.generation = 6 + i;
    catalog_.Insert(kGroup, page, SlabIndex(i));
  }
  catalog_.Remove(kGroup, {Page(20, 33, 5).key, 6}, MissCause::kEvicted);
  catalog_.Remove(kGroup, {Page(23, 39, 5).key, 12}, MissCause::kDropped);
  catalog_.Remove(kGroup, {Page(24, 41, 5).key, 12}, MissCause::kDropped);
  const InspectReply reply = Ask(0);
  EXPECT_EQ(reply.next, 0);
  ASSERT_EQ(reply.extents.size(), 1);
  const InspectedExtent& told = reply.extents[0];
  EXPECT_EQ(told.group, kGroup.value());
  EXPECT_EQ(told.sequence, 7);
  EXPECT_EQ(told.shard, 5);
  EXPECT_EQ(told.first_layer, 33);
  EXPECT_EQ(told.last_layer, 41);
  EXPECT_EQ(told.first_page, 20);
  EXPECT_EQ(told.last_page, 24);
  EXPECT_EQ(told.lowest_generation, 6);
  EXPECT_EQ(told.highest_generation, 12);
  EXPECT_EQ(told.evicted, 1);
  EXPECT_EQ(told.dropped, 2);
  EXPECT_EQ(told.pages, 2);
  EXPECT_EQ(told.bytes, 1001 + 1002);
  EXPECT_EQ(told.information, -10 - 20);
}

TEST_F(InspectionTest, NoAnswerLooksAtMuchMoreThanItMay) {
  for (std::uint32_t block = 0; block < 1000; ++block) Put(Page(block * kExtentPages));
  EXPECT_EQ(Ask(0).extents.size(), 241) << "a number and sixteen places each";
  for (std::uint32_t block = 0; block < 1000; ++block) Put(Page(block * kExtentPages + 15));
  EXPECT_EQ(Ask(0).extents.size(), 16) << "a number and 256 places each";
  catalog_.DropGroup(kGroup);
  for (std::uint64_t sequence = 0; sequence < 9000; ++sequence) Put(Page(0, 0, 0, sequence));
  for (std::uint64_t sequence = 0; sequence < 8999; ++sequence) {
    catalog_.DropSequence(kGroup, sequence);
  }
  const InspectReply reply = Ask(0);
  EXPECT_TRUE(reply.extents.empty());
  EXPECT_EQ(reply.next, kInspectedTogether) << "a number each, though nobody's";
}

TEST_F(InspectionTest, ACursorBeyondTheEndIsTheEnd) {
  Put(Page(0));
  for (const std::uint64_t cursor : {std::uint64_t{1}, ~std::uint64_t{0}}) {
    EXPECT_TRUE(Ask(cursor).extents.empty());
    EXPECT_EQ(Ask(cursor).next, 0);
  }
}

TEST_F(InspectionTest, NumbersOfExtentsThatAreForgottenAreGivenAgain) {
  Put(Page(0, 0, 0, 9));
  for (int round = 0; round < 10; ++round) {
    for (std::uint32_t block = 0; block < 5; ++block) Put(Page(block * kExtentPages));
    catalog_.DropSequence(kGroup, 7);
  }
  EXPECT_EQ(catalog_.numbers().end(), 6);
  catalog_.DropSequence(kGroup, 9);
  EXPECT_EQ(catalog_.numbers().end(), 0) << "nothing is kept of a catalog that is empty";
  Put(Page(0));
  EXPECT_EQ(Ask(0).extents.size(), 1);
}

TEST_F(InspectionTest, WhatIsThereAllTheWhileIsToldOfExactlyOnceHoweverTheRestChanges) {
  SeededRandom random;
  std::map<Name, int> lives;  // that the walk may meet, of what is there or was in its time
  const auto put = [&] {
    const GroupId group(random.Int(1, 2));
    const PageRef page = Page(random.Int(0, 63), static_cast<std::uint16_t>(random.Int(0, 31)),
                              static_cast<std::uint16_t>(random.Int(0, 1)), random.Int(1, 60));
    if (catalog_.NeedsExtent(group, page.key)) ++lives[NameOf(group, page.key)];
    Put(page, group);
  };
  for (int i = 0; i < 3000; ++i) put();
  for (int walk = 0; walk < 20; ++walk) {
    std::map<Name, bool> stays;  // false: it went, or came, in the time of the walk
    for (auto& [name, count] : lives) {
      const auto& [group, sequence, shard, layers, pages] = name;
      const PageKey key{.sequence = sequence,
                        .page = pages * kExtentPages,
                        .layer = static_cast<std::uint16_t>(layers * kExtentLayers),
                        .shard = shard};
      stays[name] = !catalog_.NeedsExtent(GroupId(group), key);
      count = stays[name] ? 1 : 0;
    }
    std::map<Name, int> told;
    std::uint64_t cursor = 0;
    int answers = 0;
    do {
      const InspectReply reply = Ask(cursor);
      ++answers;
      for (const InspectedExtent& extent : reply.extents) ++told[NameOf(extent)];
      cursor = reply.next;
      for (int i = 0; i < 100; ++i) put();
      for (int i = 0; i < 4; ++i) {
        const GroupId group(random.Int(1, 2));
        const auto gone = static_cast<std::uint64_t>(random.Int(1, 60));
        if (random.OneIn(40)) {
          catalog_.DropGroup(group);
          for (auto& [name, stayed] : stays) stayed &= std::get<0>(name) != group.value();
        }
        catalog_.DropSequence(group, gone);
        for (auto& [name, stayed] : stays) {
          stayed &= std::get<0>(name) != group.value() || std::get<1>(name) != gone;
        }
      }
    } while (cursor != 0);
    EXPECT_GE(answers, 2);
    for (const auto& [name, stayed] : stays) {
      ASSERT_TRUE(!stayed || told[name] == 1) << told[name] << " times in walk " << walk;
    }
    for (const auto& [name, times] : told) ASSERT_LE(times, lives[name]) << "walk " << walk;
  }
}

}  // namespace
}  // namespace pinboard::cache_service
