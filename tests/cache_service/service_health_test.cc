// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/client/service_health.h"

#include <gtest/gtest.h>

namespace pinboard::cache_service {
namespace {

constexpr absl::Duration kInstant = absl::Milliseconds(1);
constexpr absl::Time kNothingAsked = absl::InfiniteFuture();

class ServiceHealthTest : public ::testing::Test {
 protected:
  ServiceState Look(absl::Time unanswered_since = kNothingAsked) {
    health_.Observe(unanswered_since, now_);
    return health_.state();
  }
  /// How long it takes until the service is trusted, by what next_change says.
  absl::Duration UntilServing() {
    const absl::Time start = now_;
    while (Look() != ServiceState::kServing) now_ = health_.next_change(kNothingAsked);
    return now_ - start;
  }
  void LoseAndConnect() {
    health_.Lost(now_);
    EXPECT_EQ(Look(), ServiceState::kGone);
    health_.Connected(now_);
  }

  ServiceHealth health_;
  absl::Time now_ = absl::FromUnixSeconds(1'000'000);
};

TEST_F(ServiceHealthTest, ServesAsSoonAsItIsFirstReached) {
  EXPECT_EQ(Look(), ServiceState::kGone);
  EXPECT_EQ(health_.next_change(kNothingAsked), absl::InfiniteFuture());
  health_.Connected(now_);
  EXPECT_EQ(Look(), ServiceState::kServing);
}

TEST_F(ServiceHealthTest, IsSilentOnceItHasNotAnsweredForLongAndDoubtfulOnceItHas) {
  health_.Connected(now_);
  const absl::Time asked = now_;
  EXPECT_EQ(Look(asked), ServiceState::kServing);
  EXPECT_EQ(health_.next_change(asked), asked + ServiceHealth::kPatience);
  now_ = asked + ServiceHealth::kPatience - kInstant;
  EXPECT_EQ(Look(asked), ServiceState::kServing);
  now_ += kInstant;
  EXPECT_EQ(Look(asked), ServiceState::kSilent);
  EXPECT_EQ(health_.next_change(asked), asked + ServiceHealth::kLongestSilence);
  now_ = asked + ServiceHealth::kLongestSilence - kInstant;
  EXPECT_EQ(Look(asked), ServiceState::kSilent);
  EXPECT_FALSE(ServiceHealth::IsHopeless(asked, now_));
  EXPECT_TRUE(ServiceHealth::IsHopeless(asked, now_ + kInstant));
  EXPECT_EQ(Look(), ServiceState::kDoubtful);  // heard just now
  EXPECT_EQ(UntilServing(), ServiceHealth::kFirstPause);
}

TEST_F(ServiceHealthTest, EachFailureDoublesThePauseUntilItIsForgiven) {
  health_.Connected(now_);
  LoseAndConnect();
  EXPECT_EQ(UntilServing(), ServiceHealth::kFirstPause);
  LoseAndConnect();
  EXPECT_EQ(UntilServing(), 2 * ServiceHealth::kFirstPause);
  for (int i = 0; i < 20; ++i) LoseAndConnect();
  EXPECT_EQ(UntilServing(), ServiceHealth::kLongestPause);
  now_ += ServiceHealth::kForgivenAfter - kInstant;
  LoseAndConnect();
  EXPECT_EQ(UntilServing(), ServiceHealth::kLongestPause);
  now_ += ServiceHealth::kForgivenAfter;
  LoseAndConnect();
  EXPECT_EQ(UntilServing(), ServiceHealth::kFirstPause);
}

TEST_F(ServiceHealthTest, ASilenceThatEndsInALossIsOneFailure) {
  health_.Connected(now_);
  const absl::Time asked = now_;
  now_ += ServiceHealth::kPatience;
  EXPECT_EQ(Look(asked), ServiceState::kSilent);
  LoseAndConnect();
  EXPECT_EQ(UntilServing(), ServiceHealth::kFirstPause);
}

TEST_F(ServiceHealthTest, DrainsUntilItIsConnectedAnew) {
  health_.Connected(now_);
  health_.Draining();
  EXPECT_EQ(Look(), ServiceState::kDraining);
  now_ += absl::Hours(1);
  EXPECT_EQ(Look(), ServiceState::kDraining);
  LoseAndConnect();
  EXPECT_EQ(Look(), ServiceState::kDoubtful);
  EXPECT_EQ(UntilServing(), ServiceHealth::kFirstPause);
}

}  // namespace
}  // namespace pinboard::cache_service
