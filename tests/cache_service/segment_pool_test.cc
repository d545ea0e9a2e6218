// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/inventory/segment_pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>

namespace pinboard::cache_service {
namespace {

using ::testing::ElementsAre;

constexpr std::uint64_t kSegment = 1000;
constexpr std::uint64_t kLeast = 100;

/// Counts what is allocated; rounds up, as a fabric does.
class SegmentPoolTest : public ::testing::Test {
 protected:
  class CountedSegment final : public transport::Segment {
   public:
    CountedSegment(std::uint64_t bytes, std::uint64_t& live) : memory_(bytes + 7), live_(live) {
      ++live_;
    }
    ~CountedSegment() override { --live_; }
    absl::Span<std::byte> memory() override { return absl::MakeSpan(memory_); }
    absl::Span<const std::byte> remote_key() const override { return {}; }

   private:
    std::vector<std::byte> memory_;
    std::uint64_t& live_;
  };

  void Take(const std::string& tenant) {
    auto segment = pool_.Give(tenant, now_);
    ASSERT_EQ(segment.status(), absl::OkStatus()) << tenant;
    held_[tenant].push_back(*std::move(segment));
  }
  void GiveBack(const std::string& tenant) {
    pool_.TakeBack(tenant, std::move(held_[tenant].back()));
    held_[tenant].pop_back();
  }
  absl::Status TryTake(const std::string& tenant) { return pool_.Give(tenant, now_).status(); }

  absl::Time now_ = absl::UnixEpoch();
  std::uint64_t live_ = 0;
  absl::Status allocation_;
  SegmentPool pool_{
      3 * kSegment, kSegment, kLeast,
      [this](std::uint64_t bytes) -> absl::StatusOr<std::unique_ptr<transport::Segment>> {
        if (!allocation_.ok()) return allocation_;
        return std::make_unique<CountedSegment>(bytes, live_);
      }};
  std::map<std::string, std::vector<std::unique_ptr<transport::Segment>>> held_;
};

TEST_F(SegmentPoolTest, GivesUpToTheQuotaToTheByte) {
  pool_.SetQuota("a", {1500, 0});
  Take("a");
  Take("a");
  EXPECT_EQ(pool_.BytesOf("a"), 1500);
  EXPECT_EQ(pool_.free_bytes(), 1500);
  EXPECT_TRUE(absl::IsFailedPrecondition(TryTake("a")));
  EXPECT_EQ(pool_.NextToYield(now_), std::nullopt) << "who has its quota claims nothing";
}

TEST_F(SegmentPoolTest, ASegmentIsFreedBeforeItsBytesAreAnothers) {
  pool_.SetQuota("a", {3000, 0});
  pool_.SetQuota("b", {3000, 0});
  for (int i = 0; i < 3; ++i) Take("a");
  EXPECT_TRUE(absl::IsResourceExhausted(TryTake("b")));
  EXPECT_EQ(live_, 3);
  GiveBack("a");
  EXPECT_EQ(live_, 2);
  EXPECT_EQ(pool_.free_bytes(), kSegment);
  Take("b");
  EXPECT_EQ(live_, 3);
}

TEST_F(SegmentPoolTest, AQuotaThatShrinksTakesNothingAway) {
  pool_.SetQuota("a", {3000, 0});
  Take("a");
  Take("a");
  pool_.SetQuota("a", {500, 0});
  EXPECT_EQ(pool_.BytesOf("a"), 2000);
  EXPECT_TRUE(absl::IsFailedPrecondition(TryTake("a")));
  GiveBack("a");
  GiveBack("a");
  Take("a");
  EXPECT_EQ(pool_.BytesOf("a"), 500);
}

TEST_F(SegmentPoolTest, WhatIsFreeGoesToTheHigherPriorityFirst) {
  pool_.SetQuota("low", {3000, 1});
  pool_.SetQuota("high", {3000, 2});
  for (int i = 0; i < 3; ++i) Take("low");
  EXPECT_TRUE(absl::IsResourceExhausted(TryTake("high")));
  GiveBack("low");
  EXPECT_TRUE(absl::IsResourceExhausted(TryTake("low"))) << "it is claimed";
  Take("high");
  GiveBack("low");
  Take("low");  // the claim has been met
}

TEST_F(SegmentPoolTest, AClaimThatIsNotRepeatedEnds) {
  pool_.SetQuota("low", {3000, 1});
  pool_.SetQuota("high", {3000, 2});
  for (int i = 0; i < 3; ++i) Take("low");
  EXPECT_TRUE(absl::IsResourceExhausted(TryTake("high")));
  EXPECT_EQ(pool_.NextToYield(now_), "low");
  now_ += absl::Seconds(2);
  EXPECT_EQ(pool_.NextToYield(now_), std::nullopt);
  GiveBack("low");
  Take("low");
}

TEST_F(SegmentPoolTest, TheLowestPriorityYieldsAndAmongEqualsWhoHasMost) {
  pool_.SetQuota("a", {3000, 1});
  pool_.SetQuota("b", {3000, 1});
  pool_.SetQuota("c", {3000, 0});
  pool_.SetQuota("d", {3000, 1});
  Take("a");
  Take("b");
  Take("c");
  EXPECT_THAT(pool_.Holders(), ElementsAre("c", "a", "b"));
  EXPECT_TRUE(absl::IsResourceExhausted(TryTake("d")));
  EXPECT_EQ(pool_.NextToYield(now_), "c");
  GiveBack("c");
  Take("b");
  EXPECT_THAT(pool_.Holders(), ElementsAre("b", "a"));
  EXPECT_TRUE(absl::IsResourceExhausted(TryTake("d")));
  EXPECT_EQ(pool_.NextToYield(now_), std::nullopt) << "an equal takes nothing from an equal";
}

TEST_F(SegmentPoolTest, AnAllocationThatFailsCostsNothing) {
  pool_.SetQuota("a", {3000, 0});
  allocation_ = absl::ResourceExhaustedError("no memory");
  EXPECT_EQ(TryTake("a"), allocation_);
  allocation_ = absl::OkStatus();
  EXPECT_EQ(pool_.free_bytes(), 3 * kSegment);
  EXPECT_EQ(pool_.BytesOf("a"), 0);
  Take("a");
}

}  // namespace
}  // namespace pinboard::cache_service
