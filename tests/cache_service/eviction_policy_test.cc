// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What each policy values, and how it is named.
#include "cache_service/inventory/eviction_policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/fixed_point.h"
#include "cache_service/inventory/watermarks.h"

namespace pinboard::cache_service {
namespace {

using ::testing::HasSubstr;

const absl::Time kStart = absl::UnixEpoch() + absl::Hours(24 * 365 * 60);

EvictionCandidate Page(std::int32_t information, absl::Duration published, absl::Duration used) {
  return {information, absl::ToUnixNanos(kStart + published), absl::ToUnixNanos(kStart + used)};
}

TEST(EvictionPolicyTest, LruValuesTheLastUseAlone) {
  const EvictionPolicyPtr policy = LeastRecentlyUsed();
  const auto early = Page(1000, absl::ZeroDuration(), absl::Nanoseconds(1));
  EXPECT_LT(policy->Value(early),
            policy->Value(Page(1, absl::ZeroDuration(), absl::Nanoseconds(2))));
  EXPECT_EQ(policy->Expires(early), absl::InfiniteFuture());
}

TEST(EvictionPolicyTest, ScoreValuesInformationAlone) {
  const EvictionPolicyPtr policy = LowestInformation();
  const auto low = Page(-5, absl::Hours(1), absl::Hours(2));
  EXPECT_LT(policy->Value(low),
            policy->Value(Page(-4, absl::ZeroDuration(), absl::ZeroDuration())));
  EXPECT_EQ(policy->Expires(low), absl::InfiniteFuture());
}

TEST(EvictionPolicyTest, AgedScoreHalvesInformationWithEachHalfLife) {
  const EvictionPolicyPtr policy = AgedInformation(absl::Minutes(10));
  const auto unused = Page(4 << 20, absl::ZeroDuration(), absl::ZeroDuration());
  const auto used = [](std::int32_t information, absl::Duration when) {
    return Page(information, absl::ZeroDuration(), when);
  };
  EXPECT_EQ(policy->Value(unused), policy->Value(used(1 << 20, absl::Minutes(20))));
  EXPECT_LT(policy->Value(unused),
            policy->Value(used(1 << 20, absl::Minutes(20) + absl::Seconds(1))));
  EXPECT_GT(policy->Value(unused),
            policy->Value(used(1 << 20, absl::Minutes(20) - absl::Seconds(1))));
  EXPECT_EQ(policy->Value(used(-7, absl::ZeroDuration())),
            policy->Value(used(1, absl::ZeroDuration())));  // E below its resolution
}

TEST(EvictionPolicyTest, TtlValuesThePublicationAndEndsWithItsTime) {
  const EvictionPolicyPtr policy = TimeToLive(absl::Hours(1));
  const auto page = Page(1000, absl::Seconds(3), absl::Minutes(50));
  EXPECT_LT(policy->Value(page), policy->Value(Page(1, absl::Seconds(4), absl::Seconds(4))));
  EXPECT_EQ(policy->Expires(page), kStart + absl::Seconds(3) + absl::Hours(1));
}

TEST(EvictionPolicyTest, PoliciesAreNamedInOneWord) {
  const auto value = [](const std::string& text) {
    const auto policy = ParseEvictionPolicy(text);
    EXPECT_EQ(policy.status(), absl::OkStatus());
    return (*policy)->Value(Page(256, absl::Seconds(7), absl::Seconds(9)));
  };
  EXPECT_EQ(value("lru"), absl::ToUnixNanos(kStart + absl::Seconds(9)));
  EXPECT_EQ(value("score"), 256);
  EXPECT_EQ(value("ttl:1h30m"), absl::ToUnixNanos(kStart + absl::Seconds(7)));
  EXPECT_EQ(
      value("aged-score:1s"),
      AgedInformation(absl::Seconds(1))->Value(Page(256, absl::Seconds(7), absl::Seconds(9))));
}

TEST(EvictionPolicyTest, WrongNamesAndTimesAreTold) {
  for (const char* text : {"", "LRU", "score:1h", "lru:", "mean", "aged"}) {
    const absl::Status status = ParseEvictionPolicy(text).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << text;
    EXPECT_THAT(std::string(status.message()), HasSubstr("aged-score:HALF_LIFE")) << text;
  }
  for (const char* text :
       {"ttl", "ttl:", "ttl:0s", "ttl:-1h", "ttl:5", "ttl:inf", "ttl:999ms", "aged-score:10000h"}) {
    const absl::Status status = ParseEvictionPolicy(text).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << text;
    EXPECT_THAT(std::string(status.message()), HasSubstr("needs a time from 1s")) << text;
  }
}

TEST(WatermarksTest, ArePercentagesOrNone) {
  EXPECT_EQ(ParseWatermarks("95:90")->high, 0.95);
  EXPECT_EQ(ParseWatermarks("95:90")->low, 0.9);
  EXPECT_EQ(ParseWatermarks("none")->high, 1);
  for (const char* text : {"", "95", "90:95", "101:5", "9:0", "9:-1", "nan:nan", "a:b", "9:8:7"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ParseWatermarks(text).status())) << text;
  }
}

}  // namespace
}  // namespace pinboard::cache_service
