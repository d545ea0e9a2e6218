// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/client/leases_ahead.h"

#include <gtest/gtest.h>

#include <set>
#include <vector>

#include "tests/support/seeded_random.h"

namespace pinboard::cache_service {
namespace {

constexpr std::uint64_t kBytes = 4096;
constexpr std::uint64_t kMemory = LeasesAhead::kShare * kBytes * 16;  // so 16 slabs at most
constexpr absl::Duration kMoment = absl::Milliseconds(1);

class LeasesAheadTest : public ::testing::Test {
 protected:
  std::uint32_t OnLease(std::uint32_t count, std::uint64_t bytes = kBytes) {
    return ahead_.OnLease(count, bytes, kMemory, now_);
  }
  std::vector<LeasedMemory> NewLeases(std::uint32_t count) {
    std::vector<LeasedMemory> leases;
    for (std::uint32_t i = 0; i < count; ++i) leases.push_back({HoldId(++last_hold_), {}});
    return leases;
  }
  std::vector<LeasedMemory> Take(std::uint32_t count, std::uint64_t bytes) {
    return ahead_.Take(count, bytes, now_);
  }
  /// Two leases that follow each other, and the service's answer.
  void Fill(std::uint32_t count) {
    EXPECT_EQ(OnLease(count), 0);
    now_ += kMoment;
    EXPECT_EQ(OnLease(count), count);
    ahead_.OnAnswer(NewLeases(count), now_);
  }

  LeasesAhead ahead_;
  absl::Time now_ = absl::UnixEpoch();
  std::uint64_t last_hold_ = 0;
};

TEST_F(LeasesAheadTest, ALeaseThatFollowsAnotherAsksForTheNext) {
  EXPECT_EQ(OnLease(3), 0);
  now_ += LeasesAhead::kIdle;
  EXPECT_EQ(OnLease(3), 0) << "too late to follow";
  now_ += LeasesAhead::kIdle - kMoment;
  EXPECT_EQ(OnLease(3), 3);
  EXPECT_TRUE(ahead_.IsComing(3, kBytes));
  EXPECT_FALSE(ahead_.IsComing(4, kBytes));
  EXPECT_FALSE(ahead_.IsComing(3, kBytes + 1));
  EXPECT_EQ(OnLease(3), 0) << "one question at a time";
  ahead_.OnAnswer(NewLeases(3), now_);
  EXPECT_FALSE(ahead_.IsComing(3, kBytes));
  EXPECT_EQ(Take(3, kBytes).size(), 3);
}

TEST_F(LeasesAheadTest, SlabsAreTakenAllOrNone) {
  Fill(5);
  EXPECT_TRUE(Take(6, kBytes).empty());
  EXPECT_TRUE(Take(5, kBytes + 1).empty());
  EXPECT_EQ(Take(2, kBytes).size(), 2);
  EXPECT_TRUE(Take(4, kBytes).empty());
  EXPECT_EQ(Take(3, kBytes).size(), 3);
}

TEST_F(LeasesAheadTest, OnlyWhatIsMissingIsAskedFor) {
  Fill(5);
  EXPECT_EQ(OnLease(5), 0);
  EXPECT_EQ(OnLease(7), 2);
}

TEST_F(LeasesAheadTest, TheyAreASmallPartOfTheMemory) {
  EXPECT_EQ(OnLease(17), 0);
  EXPECT_EQ(OnLease(17), 0);
  EXPECT_EQ(OnLease(16), 16);
  EXPECT_EQ(ahead_.OnLease(0xffffffff, ~std::uint64_t{0}, kMemory, now_), 0);
}

TEST_F(LeasesAheadTest, AfterARefusalTheServiceIsLeftInPeaceForAWhile) {
  OnLease(4);
  EXPECT_EQ(OnLease(4), 4);
  ahead_.OnAnswer({}, now_);
  EXPECT_EQ(OnLease(4), 0);
  now_ += LeasesAhead::kIdle - kMoment;
  EXPECT_EQ(OnLease(4), 0);
  now_ += kMoment;
  EXPECT_EQ(OnLease(4), 4);
}

TEST_F(LeasesAheadTest, WhatNobodyAsksForIsGivenBack) {
  Fill(4);
  EXPECT_EQ(ahead_.idle_at(), now_ + LeasesAhead::kIdle);
  EXPECT_TRUE(ahead_.TakeIdle(now_ + LeasesAhead::kIdle - kMoment).empty());
  EXPECT_EQ(ahead_.TakeIdle(now_ + LeasesAhead::kIdle).size(), 4);
  EXPECT_EQ(ahead_.idle_at(), absl::InfiniteFuture());
  EXPECT_TRUE(Take(4, kBytes).empty());
}

TEST_F(LeasesAheadTest, ALeaseThatIsServedKeepsTheOthers) {
  Fill(4);
  now_ += LeasesAhead::kIdle - kMoment;
  EXPECT_EQ(Take(1, kBytes).size(), 1);
  now_ += kMoment;
  EXPECT_TRUE(ahead_.TakeIdle(now_).empty());
}

TEST_F(LeasesAheadTest, WithTheConnectionItIsAsBefore) {
  Fill(4);
  OnLease(5);
  EXPECT_TRUE(ahead_.IsComing(5, kBytes));
  EXPECT_EQ(ahead_.Reset().size(), 4);
  EXPECT_FALSE(ahead_.IsComing(1, kBytes));
  EXPECT_EQ(OnLease(4), 0);
}

TEST_F(LeasesAheadTest, PagesOfAnotherSizeDoNotKeepThemAlive) {
  Fill(4);
  const absl::Time idle_at = ahead_.idle_at();
  now_ += kMoment;
  EXPECT_EQ(OnLease(4, 2 * kBytes), 0);
  EXPECT_EQ(ahead_.idle_at(), idle_at);
  EXPECT_EQ(ahead_.TakeIdle(idle_at).size(), 4);
  EXPECT_EQ(OnLease(4, 2 * kBytes), 0);
  EXPECT_EQ(OnLease(4, 2 * kBytes), 4);
}

TEST_F(LeasesAheadTest, InNoRandomHistoryIsASlabLostOrTakenTwice) {
  SeededRandom random;
  std::set<std::uint64_t> given;
  std::set<std::uint64_t> gone;
  const auto leave = [&](const std::vector<LeasedMemory>& leases) {
    for (const auto& lease : leases) ASSERT_TRUE(gone.insert(lease.hold.value()).second);
  };
  for (int step = 0; step < 20000; ++step) {
    now_ += kMoment * random.Int(0, 4);
    const std::uint32_t count = random.Int(0, 18);
    const std::uint64_t bytes = random.OneIn(10) ? 2 * kBytes : kBytes;
    const auto taken = Take(count, bytes);
    ASSERT_TRUE(taken.empty() || taken.size() == count);
    leave(taken);
    OnLease(count, bytes);
    leave(ahead_.TakeIdle(now_));
    if (ahead_.question().count > 0 && random.OneIn(2)) {
      const auto leases = NewLeases(random.OneIn(5) ? 0 : ahead_.question().count);
      for (const LeasedMemory& lease : leases) given.insert(lease.hold.value());
      ahead_.OnAnswer(leases, now_);
    }
    const auto [coming, page_bytes] = ahead_.question();
    ASSERT_LE((given.size() - gone.size() + coming) * page_bytes, kMemory / LeasesAhead::kShare);
  }
  EXPECT_GT(gone.size(), 100);
  leave(ahead_.TakeAll());
  EXPECT_EQ(gone, given);
}

}  // namespace
}  // namespace pinboard::cache_service
