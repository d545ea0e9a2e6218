// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/replication/hand_over.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "tests/cache_service/test_pages.h"
#include "tests/support/fake_clock.h"

namespace pinboard::cache_service {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr ClientId kRank(1);
constexpr std::uint32_t kAllChunks = 1'000'000;

class HandOverTest : public ::testing::Test {
 protected:
  static constexpr std::uint64_t kPageBytes = 256;
  static constexpr std::uint64_t kPages = HandOver::kMostChosen + 1024;

  HandOverTest() { inventory_.AddClient(kRank, GroupId(5)); }

  void Publish(std::uint32_t page, std::int32_t mean_information) {
    const auto slab = (*inventory_.Lease(kRank, 1, kPageBytes))[0].slab;
    ASSERT_EQ(
        inventory_.Publish(kRank, slab, TestHeader(TestPage(page), mean_information, kPageBytes)),
        absl::OkStatus());
  }
  std::vector<std::uint32_t> Named() {
    std::vector<std::uint32_t> pages;
    while (const auto page = hand_over_->Next()) pages.push_back(page->page.key.page);
    return pages;
  }

  FakeClock clock_;
  Inventory inventory_{Arena({kPages * kPageBytes}, 16 * kPageBytes), LowestInformation(),
                       Watermarks{1, 1}, clock_};
  std::optional<HandOver> hand_over_{inventory_};
};

TEST_F(HandOverTest, NamesEachPageOnceTheBestFirst) {
  Publish(1, 10);
  Publish(2, 30);
  Publish(3, -20);
  hand_over_.emplace(inventory_);
  EXPECT_EQ(hand_over_->left(), 3);
  EXPECT_FALSE(hand_over_->Next().has_value()) << "before it has looked";
  hand_over_->Look(kAllChunks);
  EXPECT_FALSE(hand_over_->is_looking());
  EXPECT_EQ(hand_over_->Next()->group, GroupId(5));
  EXPECT_EQ(hand_over_->left(), 2);
  EXPECT_THAT(Named(), ElementsAre(1, 3));
  hand_over_->Look(kAllChunks);
  EXPECT_TRUE(hand_over_->is_done());
  EXPECT_THAT(Named(), IsEmpty());
}

TEST_F(HandOverTest, PagesThatLeaveAreNotNamedAndThoseThatComeMeanwhileAre) {
  Publish(1, 1);
  Publish(2, 2);
  hand_over_->Look(kAllChunks);
  inventory_.Drop(kRank, TestPage(2));
  Publish(3, 3);  // in the slab of the second
  EXPECT_THAT(Named(), ElementsAre(1));
  hand_over_->Look(kAllChunks);
  EXPECT_THAT(Named(), ElementsAre(3));
  hand_over_->Look(kAllChunks);
  EXPECT_TRUE(hand_over_->is_done());
  EXPECT_EQ(hand_over_->left(), 0);
}

TEST_F(HandOverTest, LooksInPartsAndKeepsTheBestOfMany) {
  for (std::uint32_t page = 0; page < kPages; ++page) {
    Publish(page, static_cast<std::int32_t>(page));
  }
  int looks = 0;
  for (; hand_over_->is_looking(); ++looks) hand_over_->Look(100);
  EXPECT_GT(looks, 1);
  const std::vector<std::uint32_t> best = Named();
  ASSERT_EQ(best.size(), HandOver::kMostChosen);
  EXPECT_EQ(best.front(), kPages - 1);
  EXPECT_EQ(best.back(), kPages - HandOver::kMostChosen);
  EXPECT_EQ(hand_over_->left(), kPages - HandOver::kMostChosen);
  while (hand_over_->is_looking()) hand_over_->Look(100);
  EXPECT_EQ(Named().size(), kPages - HandOver::kMostChosen);
}

}  // namespace
}  // namespace pinboard::cache_service
