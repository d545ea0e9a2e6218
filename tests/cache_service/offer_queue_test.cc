// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/replication/offer_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "tests/cache_service/test_pages.h"
#include "tests/support/fake_clock.h"

namespace pinboard::cache_service {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

constexpr ClientId kRank(1);
constexpr ClientId kMember(2);
constexpr GroupId kGroup(1);

class OfferQueueTest : public ::testing::Test {
 protected:
  static constexpr int kPages = 400;

  OfferQueueTest() {
    inventory_.AddClient(kRank, kGroup);
    inventory_.AddClient(kMember, GroupId(99));
    for (int page = 0; page < kPages; ++page) {
      const auto slab = (*inventory_.Lease(kRank, 1, kTestPageBytes))[0].slab;
      EXPECT_EQ(inventory_.Publish(kRank, slab, TestHeader(TestPage(page))), absl::OkStatus());
    }
  }

  void Add(int page) { queue_.Add({kGroup, TestPage(page), OfferKind::kCopy}); }
  void Open() {
    queue_.Open(kMember, [this](const Offer& offer) {
      offers_.insert(offers_.end(), offer.pages.begin(), offer.pages.end());
    });
  }
  std::vector<std::uint32_t> Offered() {
    std::vector<std::uint32_t> pages;
    for (const OfferedPage& page : offers_) pages.push_back(page.header.key.page);
    return pages;
  }
  absl::Status Answer(std::size_t offer, OfferOutcome outcome) {
    return queue_.OnTaken({{{offers_[offer].location.slab, outcome}}});
  }

  FakeClock clock_;
  Inventory inventory_{Arena({kPages * kTestPageBytes}, kTestPageBytes), LowestInformation(),
                       Watermarks{1, 1}, clock_};
  std::vector<OfferedPage> offers_;
  std::vector<std::pair<std::uint32_t, OfferEnd>> ended_;
  OfferQueue queue_{inventory_, [this](const OfferedName& name, OfferEnd end) {
                      ended_.emplace_back(name.page.key.page, end);
                    }};
  const absl::Time now_ = absl::UnixEpoch();
};

TEST_F(OfferQueueTest, WaitsForTheMemberThenPinsOffersAndUnpinsWhatIsAnswered) {
  Add(1);
  Add(2);
  queue_.Fill(now_);
  EXPECT_THAT(Offered(), IsEmpty());
  EXPECT_EQ(inventory_.counts().pins, 0) << "nothing is held for a page that waits";
  Open();
  queue_.Fill(now_);
  EXPECT_THAT(Offered(), ElementsAre(1, 2));
  EXPECT_EQ(offers_[0].group, kGroup.value());
  EXPECT_EQ(inventory_.counts().pins, 2);
  EXPECT_EQ(queue_.oldest_offer(), now_);
  ASSERT_EQ(Answer(1, OfferOutcome::kTaken), absl::OkStatus());
  EXPECT_THAT(ended_, ElementsAre(Pair(2, OfferEnd::kTaken)));
  EXPECT_EQ(inventory_.counts().pins, 1);
  ASSERT_EQ(Answer(0, OfferOutcome::kNoRoom), absl::OkStatus());
  EXPECT_EQ(queue_.waiting(), 0);
  EXPECT_EQ(queue_.oldest_offer(), absl::InfiniteFuture());
}

TEST_F(OfferQueueTest, ALostConnectionPutsWhatWasOfferedBackInFront) {
  for (int page = 0; page < 2; ++page) Add(page);
  Open();
  queue_.Fill(now_);
  Add(5);
  queue_.Close();
  inventory_.RemoveClient(kMember);
  EXPECT_EQ(inventory_.counts().pins, 0);
  EXPECT_EQ(queue_.waiting(), 3);
  inventory_.AddClient(kMember, GroupId(99));
  offers_.clear();
  Open();
  queue_.Fill(now_);
  EXPECT_THAT(Offered(), ::testing::UnorderedElementsAre(0, 1, 5));
  EXPECT_EQ(Offered().back(), 5);
  EXPECT_THAT(ended_, IsEmpty());
}

TEST_F(OfferQueueTest, KnowsHowManyWaitOfEachKind) {
  Add(1);
  Add(2);
  for (const int page : {3, 3, 4, 5}) queue_.Add({kGroup, TestPage(page), OfferKind::kSpill});
  EXPECT_EQ(queue_.waiting(OfferKind::kCopy), 2);
  EXPECT_EQ(queue_.waiting(OfferKind::kSpill), 4);
  inventory_.Drop(kRank, TestPage(4));
  Open();
  queue_.Fill(now_);
  EXPECT_EQ(queue_.waiting(OfferKind::kSpill), 2) << "one is gone, one was asked for twice";
  ASSERT_EQ(Answer(2, OfferOutcome::kTaken), absl::OkStatus());
  EXPECT_EQ(queue_.waiting(OfferKind::kSpill), 1);
  queue_.Close();
  EXPECT_EQ(queue_.TakeWaiting().size(), 3);
  EXPECT_EQ(queue_.waiting(OfferKind::kCopy) + queue_.waiting(OfferKind::kSpill), 0);
}

TEST_F(OfferQueueTest, PinsABoundedNumberAtATime) {
  for (int page = 0; page < kPages; ++page) Add(page);
  Open();
  queue_.Fill(now_);
  EXPECT_EQ(inventory_.counts().pins, OfferQueue::kMostOffered);
  ASSERT_EQ(Answer(0, OfferOutcome::kHad), absl::OkStatus());
  queue_.Fill(now_);
  EXPECT_EQ(inventory_.counts().pins, OfferQueue::kMostOffered);
  EXPECT_EQ(queue_.waiting(), kPages - 1);
}

TEST_F(OfferQueueTest, LetsABoundedNumberWait) {
  for (std::size_t i = 0; i < OfferQueue::kMostWaiting; ++i) Add(1);
  EXPECT_THAT(ended_, IsEmpty());
  Add(2);
  EXPECT_THAT(ended_, ElementsAre(Pair(2, OfferEnd::kOverflow)));
  EXPECT_EQ(queue_.waiting(), OfferQueue::kMostWaiting);
}

TEST_F(OfferQueueTest, APageThatLeftMeanwhileIsNotOfferedAndOneAskedForTwiceIsOnce) {
  Add(1);
  Add(2);
  Add(2);
  inventory_.Drop(kRank, TestPage(1));
  Open();
  queue_.Fill(now_);
  EXPECT_THAT(Offered(), ElementsAre(2));
  EXPECT_EQ(inventory_.counts().pins, 1);
  EXPECT_EQ(queue_.waiting(), 1);
}

TEST_F(OfferQueueTest, AnAnswerToNothingOrWithoutMeaningBreaksTheProtocol) {
  Add(1);
  Open();
  queue_.Fill(now_);
  EXPECT_TRUE(absl::IsInvalidArgument(queue_.OnTaken({{{offers_[0].location.slab + 1, {}}}})));
  EXPECT_TRUE(absl::IsInvalidArgument(Answer(0, static_cast<OfferOutcome>(kOfferOutcomes))));
}

}  // namespace
}  // namespace pinboard::cache_service
