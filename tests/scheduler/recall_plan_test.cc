// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "scheduler/recall_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <tuple>

#include "tests/support/seeded_random.h"

namespace pinboard::scheduler {

bool operator==(const Replacement& a, const Replacement& b) {
  return a.page == b.page && a.ring_slot == b.ring_slot;
}
void PrintTo(const Replacement& r, std::ostream* out) {
  *out << "page " << r.page << " -> slot " << r.ring_slot;
}

namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

/// What is fetched by a step's scores.
PageList Update(RecallPlan& plan, const std::vector<std::int32_t>& scores, int max_fetches,
                Smoothing smoothing = Smoothing::kHalf) {
  plan.TakeIn(scores, smoothing);
  return plan.Fetch(max_fetches);
}

/// Pages 0 .. pages - 1, the first ones in the ring.
RecallPlan MakePlan(int pages, int ring) {
  RecallPlan plan(ring);
  for (int page = 0; page < pages; ++page) plan.Add(page);
  for (int slot = 0; slot < ring; ++slot) plan.Place(slot, slot);
  return plan;
}

TEST(RecallPlan, FetchesTheBestPagesThatAreNotInTheRing) {
  RecallPlan plan = MakePlan(5, 2);
  EXPECT_THAT(Update(plan, {10, 40, 0, 60, 20}, 100), ElementsAre(3));
  EXPECT_THAT(plan.in_flight(), ElementsAre(3));
  EXPECT_THAT(plan.ring(), ElementsAre(0, 1));  // nothing changes before it is ready everywhere
}

TEST(RecallPlan, AReadyPageTakesTheSlotOfTheLeastWanted) {
  RecallPlan plan = MakePlan(5, 2);
  Update(plan, {10, 40, 0, 60, 20}, 100);
  EXPECT_THAT(plan.Resolve({3}, {}), ElementsAre(Replacement{3, 0}));
  EXPECT_THAT(plan.ring(), ElementsAre(3, 1));
  EXPECT_THAT(plan.in_flight(), IsEmpty());
}

TEST(RecallPlan, OfEqualPagesTheLowerNumberIsWantedAndTheHigherReplaced) {
  RecallPlan plan(2);
  for (int page = 0; page < 6; ++page) plan.Add(page);
  plan.Place(4, 0);
  plan.Place(5, 1);
  EXPECT_THAT(Update(plan, {8, 8, 8, 0, 0, 0}, 100), ElementsAre(0, 1));
  EXPECT_THAT(plan.Resolve({0, 1}, {}), ElementsAre(Replacement{0, 1}, Replacement{1, 0}));
}

TEST(RecallPlan, KnowsTheMeanOfEachPageOfTheBand) {
  RecallPlan plan(1);
  for (const std::uint32_t page : {4, 1, 9, 6}) plan.Add(page, 10 * page);
  plan.Add(4, 7);  // has joined already
  plan.Remove(6);
  EXPECT_THAT(plan.pages(), ElementsAre(1, 4, 9));
  EXPECT_THAT(plan.mean_information(), ElementsAre(10, 40, 90));
}

TEST(RecallPlan, ScoresAreSmoothedByHalvesInIntegers) {
  RecallPlan plan = MakePlan(3, 1);
  Update(plan, {0, 100, 0}, 0);                               // s = 0, 50, 0
  Update(plan, {0, 0, 49}, 0);                                // s = 0, 25, 24
  EXPECT_THAT(Update(plan, {0, 0, 0}, 100), ElementsAre(1));  // 12 against 12: the lower number
  RecallPlan other = MakePlan(3, 1);
  Update(other, {0, 100, 0}, 0);
  EXPECT_THAT(Update(other, {0, 0, 54}, 100), ElementsAre(2));  // 25 against 27
  // Each half is rounded down by itself: 2, 2 and 3, 3 both end at 1.
  RecallPlan odd = MakePlan(3, 1);
  Update(odd, {0, 2, 3}, 0);
  EXPECT_THAT(Update(odd, {0, 2, 3}, 100), ElementsAre(1));
}

TEST(RecallPlan, WithoutSmoothingThisStepsScoresAloneDecide) {
  RecallPlan plan = MakePlan(3, 1);
  Update(plan, {0, 100, 0}, 0, Smoothing::kNone);
  EXPECT_THAT(Update(plan, {0, 0, 1}, 100, Smoothing::kNone), ElementsAre(2));
}

TEST(RecallPlan, TheCapOnFetchesTakesTheBestAndReturnsThemAscending) {
  RecallPlan plan = MakePlan(8, 3);
  EXPECT_THAT(Update(plan, {0, 0, 0, 10, 0, 0, 20, 30}, 2), ElementsAre(6, 7));
  EXPECT_THAT(Update(plan, {0, 0, 0, 10, 0, 0, 20, 30}, 2), ElementsAre(3));  // the rest follows
  EXPECT_THAT(plan.in_flight(), ElementsAre(3, 6, 7));
}

TEST(RecallPlan, APageInFlightIsNotFetchedAgain) {
  RecallPlan plan = MakePlan(3, 1);
  EXPECT_THAT(Update(plan, {0, 50, 0}, 100), ElementsAre(1));
  EXPECT_THAT(Update(plan, {0, 50, 0}, 100), IsEmpty());
}

TEST(RecallPlan, AReadyPageThatIsNoLongerWantedIsLetGoAndMayComeBack) {
  RecallPlan plan = MakePlan(3, 1);
  Update(plan, {0, 50, 0}, 100);
  EXPECT_THAT(Update(plan, {0, 0, 900}, 100), ElementsAre(2));
  EXPECT_THAT(plan.in_flight(), ElementsAre(1, 2));
  EXPECT_THAT(plan.Resolve({1}, {}), IsEmpty());
  EXPECT_THAT(plan.ring(), ElementsAre(0));
  EXPECT_THAT(Update(plan, {0, 5000, 0}, 100), ElementsAre(1));
}

TEST(RecallPlan, AMissedPageIsStruck) {
  RecallPlan plan = MakePlan(4, 1);
  Update(plan, {0, 0, 0, 70}, 100);
  EXPECT_THAT(plan.Resolve({}, {3}), IsEmpty());
  EXPECT_THAT(plan.pages(), ElementsAre(0, 1, 2));
  EXPECT_THAT(plan.in_flight(), IsEmpty());
}

TEST(RecallPlan, AMissMakesRoomForAPageThatArrivedWithIt) {
  RecallPlan plan = MakePlan(4, 1);
  Update(plan, {0, 0, 60, 0}, 100);
  Update(plan, {0, 0, 0, 90}, 100);  // s: page 2 15, page 3 45
  EXPECT_THAT(plan.Resolve({2}, {3}), ElementsAre(Replacement{2, 0}));
}

TEST(RecallPlan, APageStruckWhileResidentStaysUntilItIsTheFirstToBeReplaced) {
  RecallPlan plan = MakePlan(4, 2);
  Update(plan, {80, 0, 0, 0}, 100);
  plan.Remove(0);
  EXPECT_THAT(plan.ring(), ElementsAre(0, 1));
  EXPECT_THAT(plan.pages(), ElementsAre(1, 2, 3));
  // Page 3 becomes wanted; page 1, though at score 0, is ranked above the struck page.
  EXPECT_THAT(Update(plan, {0, 0, 40}, 100), ElementsAre(3));
  EXPECT_THAT(plan.Resolve({3}, {}), ElementsAre(Replacement{3, 0}));
}

TEST(RecallPlan, ASlotThatWasNeverFilledIsTakenFirst) {
  RecallPlan plan(2);
  for (int page = 0; page < 3; ++page) plan.Add(page);
  plan.Place(0, 0);
  EXPECT_THAT(plan.ring(), ElementsAre(0, RecallPlan::kEmptySlot));
  EXPECT_THAT(Update(plan, {0, 5, 9}, 100), ElementsAre(1, 2));
  EXPECT_THAT(plan.Resolve({2}, {}), ElementsAre(Replacement{2, 1}));
}

TEST(RecallPlan, PagesThatAreNotInFlightAreIgnoredByResolve) {
  RecallPlan plan = MakePlan(4, 1);
  EXPECT_THAT(plan.Resolve({3}, {2}), IsEmpty());
  EXPECT_THAT(plan.pages(), ElementsAre(0, 1, 2, 3));
}

TEST(RecallPlan, WithoutARingNothingIsFetched) {
  RecallPlan plan;
  plan.Add(1);
  EXPECT_THAT(Update(plan, {100}, 100), IsEmpty());
}

TEST(RecallPlan, ACopyGoesItsOwnWay) {
  RecallPlan plan = MakePlan(3, 1);
  RecallPlan fork = plan;
  Update(fork, {0, 0, 30}, 100);
  fork.Resolve({2}, {});
  EXPECT_THAT(fork.ring(), ElementsAre(2));
  EXPECT_THAT(plan.ring(), ElementsAre(0));
}

TEST(RecallPlan, ARingThatGrowsKeepsItsPagesAndWantsMore) {
  RecallPlan plan = MakePlan(6, 2);
  plan.GrowRing(4);
  EXPECT_THAT(plan.ring(), ElementsAre(0U, 1U, RecallPlan::kEmptySlot, RecallPlan::kEmptySlot));
  plan.Place(2, 2);
  plan.Place(3, 3);
  EXPECT_THAT(Update(plan, {0, 0, 0, 0, 9, 8}, 16), ElementsAre(4U, 5U));
  plan.GrowRing(2);
  EXPECT_EQ(plan.ring_pages(), 4) << "it never shrinks";
}

/// Drives a plan at random, playing the service and the other ranks.
class RandomWalk {
 public:
  RandomWalk(unsigned seed, int pages, int ring) : random_(seed), plan_(MakePlan(pages, ring)) {
    next_page_ = pages;
  }

  void Step() {
    if (Chance(0.1)) plan_.Add(next_page_++);
    if (Chance(0.05) && !plan_.pages().empty()) Drop();
    std::vector<std::int32_t> scores(plan_.pages().size());
    for (auto& score : scores) score = Pick(0, Chance(0.5) ? 1 << 20 : 4);  // 4: many ties
    const int cap = Pick(0, 6);
    const auto before = plan_.in_flight();
    const PageList expected = FetchesBySorting(scores, cap);
    const auto fetches = Update(plan_, scores, cap);
    ASSERT_EQ(fetches, expected);
    CheckFetches(fetches, before, cap);
    Resolve();
    CheckRing();
  }

  std::vector<std::uint32_t> Trace() const {
    std::vector<std::uint32_t> trace(plan_.ring().begin(), plan_.ring().end());
    trace.insert(trace.end(), plan_.in_flight().begin(), plan_.in_flight().end());
    trace.insert(trace.end(), plan_.pages().begin(), plan_.pages().end());
    return trace;
  }

 private:
  int Pick(int low, int high) { return std::uniform_int_distribution<int>(low, high)(random_); }
  bool Chance(double p) { return std::bernoulli_distribution(p)(random_); }

  void Drop() {
    const std::uint32_t page = plan_.pages()[Pick(0, static_cast<int>(plan_.pages().size()) - 1)];
    const auto& ring = plan_.ring();
    const auto& in_flight = plan_.in_flight();
    if (std::count(ring.begin(), ring.end(), page) > 0) return;  // pinned, as in a round
    if (std::count(in_flight.begin(), in_flight.end(), page) > 0) return;
    plan_.Remove(page);
    gone_.insert(page);
  }

  /// What the plan is to fetch, with all pages sorted.
  PageList FetchesBySorting(const std::vector<std::int32_t>& scores, int cap) {
    struct Page {
      std::int64_t score;
      std::uint32_t number;
    };
    std::vector<Page> pages;
    for (std::size_t i = 0; i < scores.size(); ++i) {
      std::int64_t& score = smoothed_[plan_.pages()[i]];
      score = score / 2 + scores[i] / 2;
      pages.push_back({score, plan_.pages()[i]});
    }
    std::sort(pages.begin(), pages.end(), [](const Page& a, const Page& b) {
      return a.score != b.score ? a.score > b.score : a.number < b.number;
    });
    PageList fetches;
    for (std::size_t i = 0; i < std::min(pages.size(), plan_.ring().size()); ++i) {
      const auto is_it = [&](std::uint32_t page) { return page == pages[i].number; };
      if (static_cast<int>(fetches.size()) == cap) break;
      if (std::any_of(plan_.ring().begin(), plan_.ring().end(), is_it)) continue;
      if (std::any_of(plan_.in_flight().begin(), plan_.in_flight().end(), is_it)) continue;
      fetches.push_back(pages[i].number);
    }
    std::sort(fetches.begin(), fetches.end());
    return fetches;
  }

  /// What `ready` pages, ascending, are to replace, with all pages and all slots looked at.
  std::vector<Replacement> ReplacementsBySorting(const std::vector<std::uint32_t>& ready,
                                                 const std::vector<std::uint32_t>& missed) {
    std::vector<std::uint32_t> wanted;
    for (const std::uint32_t page : plan_.pages()) {
      if (std::count(missed.begin(), missed.end(), page) == 0) wanted.push_back(page);
    }
    const std::set<std::uint32_t> live(wanted.begin(), wanted.end());
    std::stable_sort(wanted.begin(), wanted.end(), [this](std::uint32_t a, std::uint32_t b) {
      return smoothed_[a] > smoothed_[b];
    });
    PageList ring = plan_.ring();
    wanted.resize(std::min(wanted.size(), ring.size()));
    const auto is_wanted = [&](std::uint32_t page) {
      return std::count(wanted.begin(), wanted.end(), page) > 0;
    };
    std::vector<Replacement> replacements;
    for (const std::uint32_t page : ready) {
      if (!is_wanted(page)) continue;
      std::vector<std::tuple<std::int64_t, std::int64_t, int>> slots;  // the next to go is least
      for (std::size_t slot = 0; slot < ring.size(); ++slot) {
        if (is_wanted(ring[slot])) continue;
        slots.emplace_back(live.contains(ring[slot]) ? smoothed_[ring[slot]] : -1,
                           -std::int64_t{ring[slot]}, slot);
      }
      const int slot = std::get<2>(*std::min_element(slots.begin(), slots.end()));
      ring[slot] = page;
      replacements.push_back({page, slot});
    }
    return replacements;
  }

  void CheckFetches(const PageList& fetches, const PageList& before, int cap) {
    ASSERT_LE(static_cast<int>(fetches.size()), cap);
    ASSERT_TRUE(std::is_sorted(fetches.begin(), fetches.end()));
    for (const std::uint32_t page : fetches) {
      ASSERT_EQ(std::count(plan_.ring().begin(), plan_.ring().end(), page), 0);
      ASSERT_FALSE(std::binary_search(before.begin(), before.end(), page));
      ASSERT_TRUE(std::binary_search(plan_.pages().begin(), plan_.pages().end(), page));
    }
    ASSERT_EQ(plan_.in_flight().size(), before.size() + fetches.size());
    ASSERT_TRUE(std::is_sorted(plan_.in_flight().begin(), plan_.in_flight().end()));
  }

  void Resolve() {
    std::vector<std::uint32_t> ready;
    std::vector<std::uint32_t> missed;
    for (const std::uint32_t page : plan_.in_flight()) {
      if (Chance(0.05)) {
        missed.push_back(page);
      } else if (Chance(0.5)) {
        ready.push_back(page);
      }
    }
    const auto ring_before = plan_.ring();
    const auto expected = ReplacementsBySorting(ready, missed);
    const auto replacements = plan_.Resolve(ready, missed);
    ASSERT_THAT(replacements, ::testing::ElementsAreArray(expected));
    std::size_t changed = 0;
    for (std::size_t slot = 0; slot < ring_before.size(); ++slot) {
      changed += ring_before[slot] != plan_.ring()[slot] ? 1 : 0;
    }
    ASSERT_EQ(changed, replacements.size());
    for (const Replacement& r : replacements) {
      ASSERT_EQ(plan_.ring()[r.ring_slot], r.page);
      ASSERT_EQ(std::count(ready.begin(), ready.end(), r.page), 1);
      ASSERT_EQ(gone_.count(r.page), 0U) << "a struck page returned";
    }
    gone_.insert(missed.begin(), missed.end());
  }

  void CheckRing() {
    const auto& ring = plan_.ring();
    ASSERT_EQ(std::count(ring.begin(), ring.end(), RecallPlan::kEmptySlot), 0) << "not full";
    ASSERT_EQ(std::set<std::uint32_t>(ring.begin(), ring.end()).size(), ring.size());
    for (const std::uint32_t page : plan_.pages()) ASSERT_EQ(gone_.count(page), 0U);
    for (const std::uint32_t page : plan_.in_flight()) {
      ASSERT_EQ(std::count(ring.begin(), ring.end(), page), 0);
    }
  }

  std::mt19937 random_;
  RecallPlan plan_;
  std::uint32_t next_page_;
  std::set<std::uint32_t> gone_;
  std::map<std::uint32_t, std::int64_t> smoothed_;
};

TEST(RecallPlan, WhateverHappensTheRingIsFullAndHoldsNoPageTwice) {
  const std::uint32_t seed = TestSeed();
  for (unsigned walk = 0; walk < 20; ++walk) {
    RandomWalk random_walk(seed + walk, 40, 8);
    for (int step = 0; step < 300; ++step) {
      random_walk.Step();
      ASSERT_FALSE(testing::Test::HasFatalFailure());
    }
  }
}

TEST(RecallPlan, ALargeBandIsDecidedOnAsASmallOne) {
  RandomWalk random_walk(TestSeed(), 700, 16);
  for (int step = 0; step < 300; ++step) {
    random_walk.Step();
    ASSERT_FALSE(testing::Test::HasFatalFailure());
  }
}

TEST(RecallPlan, TheSameInputsReplayToTheSameState) {
  const std::uint32_t seed = TestSeed();
  RandomWalk first(seed, 30, 6);
  RandomWalk second(seed, 30, 6);
  for (int step = 0; step < 500; ++step) {
    first.Step();
    second.Step();
    ASSERT_EQ(first.Trace(), second.Trace());
  }
}

}  // namespace
}  // namespace pinboard::scheduler
