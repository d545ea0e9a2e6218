// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Rings that are chosen beside the engine's thread are chosen as on it.
#include "shard/ring_choices.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <utility>
#include <vector>

#include "tests/support/seeded_random.h"

namespace pinboard::testing {
namespace {

constexpr int kRings = 1'000;
constexpr int kPages = 70;

std::vector<scheduler::RecallPlan> MakePlans() {
  std::vector<scheduler::RecallPlan> plans(kRings, scheduler::RecallPlan(4));
  for (scheduler::RecallPlan& plan : plans) {
    for (int page = 0; page < kPages; ++page) plan.Add(page);
  }
  return plans;
}

/// One has been taken in; the other is, here.
void Compare(const std::vector<std::int32_t>& scores, scheduler::RecallPlan* beside,
             scheduler::RecallPlan* alone) {
  if (scores.empty()) return;
  alone->TakeIn(scores);
  const scheduler::PageList pages = beside->Fetch(16);
  EXPECT_EQ(pages, alone->Fetch(16));
  beside->Resolve(pages, {});
  alone->Resolve(pages, {});
}

TEST(RingChoices, AreWhatEachRingWouldChooseByItselfOnceTheyHaveBeenWaitedFor) {
  SeededRandom random;
  std::vector<scheduler::RecallPlan> beside = MakePlans(), alone = MakePlans();
  RingChoices choices;
  for (int step = 0; step < 20; ++step) {
    std::vector<std::vector<std::int32_t>> scores(kRings);
    std::vector<RingChoices::Ring> rings;
    for (int i = 0; i < kRings; ++i) {
      // Some rings' steps choose no pages.
      scores[i].resize(random.OneIn(5) ? 0 : kPages);
      for (std::int32_t& score : scores[i]) score = random.Int(0, 1000);
      rings.push_back({&beside[i], scores[i]});
    }
    choices.Start(&rings);
    // The last of those that are waited for first, which would not have been taken in yet.
    const int some = random.Int(1, kRings);
    choices.Await(some);
    for (int i = some - 1; i >= 0; --i) Compare(scores[i], &beside[i], &alone[i]);
    choices.Await(kRings);
    for (int i = kRings - 1; i >= some; --i) Compare(scores[i], &beside[i], &alone[i]);
  }
}

TEST(RingChoices, TheListsThatAreTakenComeBackToBeFilledAgain) {
  std::vector<scheduler::RecallPlan> plans = MakePlans();
  RingChoices choices;
  std::vector<RingChoices::Ring> rings;
  for (int step = 0; step < 6; ++step) {
    EXPECT_GE(rings.capacity(), step > 2 ? plans.size() : 0) << "step " << step;
    EXPECT_TRUE(rings.empty());
    for (scheduler::RecallPlan& plan : plans) rings.push_back({&plan, {}});
    choices.Start(&rings);
    choices.Await(kRings);
  }
}

}  // namespace
}  // namespace pinboard::testing
