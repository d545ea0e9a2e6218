// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/replication/pulls.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "tests/cache_service/test_pages.h"

namespace pinboard::cache_service {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr GroupId kGroup(1);

class PullsTest : public ::testing::Test {
 protected:
  struct Asked {
    PeerNumber peer;
    std::uint64_t request;
    PeerFetch fetch;
  };

  void Start(std::vector<std::uint32_t> pages, const std::vector<PeerNumber>& members) {
    std::vector<Pulls::Wish> wishes;
    for (const std::uint32_t page : pages) wishes.push_back({TestPage(page), members});
    pulls_.Start(kGroup, wishes, deadline_);
  }
  static FetchedPage Hit(std::uint32_t index, std::uint32_t page) {
    return {index, MissCause::kNone, {page + 100, 0, 0}, TestHeader(TestPage(page))};
  }
  static FetchedPage Miss(std::uint32_t index) { return {index, MissCause::kUnknown, {}, {}}; }
  bool Answer(std::size_t question, std::vector<FetchedPage> pages) {
    const Asked asked = asked_.at(question);
    return pulls_.OnFetched(asked.peer, asked.request, pages);
  }
  std::uint64_t Ends(PullEnd end) { return pulls_.ends()[static_cast<int>(end)]; }

  const absl::Time deadline_ = SteadyNow() + absl::Hours(1);
  std::set<PeerNumber> away_;
  OfferOutcome outcome_ = OfferOutcome::kTaken;  // of what is taken
  std::vector<Asked> asked_;
  std::vector<std::string> taken_;     // "member:page"
  std::vector<std::uint64_t> unpins_;  // slabs
  std::vector<std::uint32_t> ended_;
  Pulls pulls_{{.ask =
                    [this](PeerNumber peer, std::uint64_t request, const PeerFetch& fetch) {
                      if (away_.contains(peer)) return false;
                      asked_.push_back({peer, request, fetch});
                      return true;
                    },
                .take =
                    [this](PeerNumber from, GroupId, const FetchedPage& page,
                           const std::function<void(OfferOutcome)>& done) {
                      taken_.push_back(absl::StrCat(from, ":", page.header.key.page));
                      done(outcome_);
                    },
                .unpin = [this](PeerNumber,
                                const FetchedPage& page) { unpins_.push_back(page.location.slab); },
                .ended = [this](GroupId, const PageKey& key) { ended_.push_back(key.page); }}};
};

TEST_F(PullsTest, AsksTheFirstMemberForAllAndTheNextForWhatItHasNot) {
  Start({1, 2, 3}, {5, 6});
  ASSERT_EQ(asked_.size(), 1);
  EXPECT_EQ(asked_[0].peer, 5);
  EXPECT_THAT(asked_[0].fetch.pages, ElementsAre(TestPage(1), TestPage(2), TestPage(3)));
  ASSERT_TRUE(Answer(0, {Hit(1, 2), Miss(0), Miss(2)}));
  EXPECT_THAT(taken_, ElementsAre("5:2"));
  ASSERT_EQ(asked_.size(), 2);
  EXPECT_EQ(asked_[1].peer, 6);
  EXPECT_THAT(asked_[1].fetch.pages, ElementsAre(TestPage(1), TestPage(3)));
  ASSERT_TRUE(Answer(1, {Hit(0, 1), Miss(1)}));
  EXPECT_THAT(ended_, ElementsAre(2, 1, 3));
  EXPECT_EQ(Ends(PullEnd::kHit), 2);
  EXPECT_EQ(Ends(PullEnd::kMiss), 1);
  EXPECT_EQ(pulls_.waiting(), 0);
}

TEST_F(PullsTest, SkipsMembersThatAreAwayAndEndsWhereAllAre) {
  away_ = {5};
  Start({1}, {5, 6});
  ASSERT_EQ(asked_.size(), 1);
  EXPECT_EQ(asked_[0].peer, 6);
  away_ = {5, 6};
  Start({2}, {5, 6});
  EXPECT_THAT(ended_, ElementsAre(2));
  Start({3}, {});
  EXPECT_THAT(ended_, ElementsAre(2, 3));
}

TEST_F(PullsTest, OfAMemberThatIsLostTheNextIsAskedForWhatItHadNotAnswered) {
  Start({1, 2}, {5, 6});
  ASSERT_TRUE(Answer(0, {Hit(0, 1)}));
  away_ = {5};
  pulls_.PeerLost(5);
  ASSERT_EQ(asked_.size(), 2);
  EXPECT_THAT(asked_[1].fetch.pages, ElementsAre(TestPage(2)));
  EXPECT_FALSE(Answer(0, {Hit(1, 2)})) << "the question went with the member";
}

TEST_F(PullsTest, EndsAtTheDeadlineAndGivesBackWhatComesLater) {
  Start({1}, {5});
  EXPECT_EQ(pulls_.next_deadline(), deadline_);
  pulls_.Expire(deadline_ - absl::Seconds(1));
  EXPECT_THAT(ended_, IsEmpty());
  pulls_.Expire(deadline_);
  EXPECT_THAT(ended_, ElementsAre(1));
  EXPECT_EQ(Ends(PullEnd::kTimeout), 1);
  ASSERT_TRUE(Answer(0, {Hit(0, 1)}));
  EXPECT_THAT(taken_, IsEmpty());
  EXPECT_THAT(unpins_, ElementsAre(101));
  EXPECT_EQ(pulls_.next_deadline(), absl::InfiniteFuture());
}

TEST_F(PullsTest, ACorruptPageIsLookedForElsewhere) {
  Start({1}, {5, 6});
  outcome_ = OfferOutcome::kCorrupt;
  ASSERT_TRUE(Answer(0, {Hit(0, 1)}));
  ASSERT_EQ(asked_.size(), 2);
  ASSERT_TRUE(Answer(1, {Miss(0)}));
  EXPECT_EQ(Ends(PullEnd::kCorrupt), 1);
  EXPECT_THAT(ended_, ElementsAre(1));
}

TEST_F(PullsTest, APageIsPulledOnceAtATime) {
  Start({1}, {5});
  Start({1}, {5});
  EXPECT_EQ(asked_.size(), 1);
  EXPECT_TRUE(pulls_.IsPulling(kGroup, TestPage(1)));
  EXPECT_FALSE(pulls_.IsPulling(kGroup, TestPage(1, 2)));
  EXPECT_FALSE(pulls_.IsPulling(GroupId(2), TestPage(1)));
}

TEST_F(PullsTest, AnswersThatFitNoQuestionAreToldApart) {
  Start({1, 2}, {5});
  EXPECT_FALSE(pulls_.OnFetched(6, asked_[0].request, {Miss(0)})) << "another member";
  EXPECT_FALSE(Answer(0, {Hit(0, 2)})) << "another page";
  EXPECT_FALSE(Answer(0, {Miss(2)})) << "an index beyond the end";
  ASSERT_TRUE(Answer(0, {Miss(1)}));
  EXPECT_FALSE(Answer(0, {Miss(1)})) << "twice";
  EXPECT_THAT(taken_, IsEmpty());
}

TEST_F(PullsTest, BeyondABoundPagesAreMissesAtOnce) {
  std::vector<std::uint32_t> pages(Pulls::kMost + 1);
  for (std::size_t i = 0; i < pages.size(); ++i) pages[i] = i;
  Start(pages, {5});
  EXPECT_EQ(pulls_.waiting(), Pulls::kMost);
  EXPECT_EQ(Ends(PullEnd::kOverflow), 1);
  EXPECT_THAT(ended_, ElementsAre(Pulls::kMost));
}

TEST_F(PullsTest, KnowsWhoHasNotAnsweredForTooLong) {
  Start({1}, {5});
  EXPECT_FALSE(pulls_.IsLate(5, SteadyNow() - absl::Minutes(1)));
  EXPECT_TRUE(pulls_.IsLate(5, SteadyNow() + absl::Minutes(1)));
  EXPECT_FALSE(pulls_.IsLate(6, SteadyNow() + absl::Minutes(1)));
}

}  // namespace
}  // namespace pinboard::cache_service
