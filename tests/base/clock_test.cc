// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "base/clock.h"

#include <gtest/gtest.h>

#include "absl/time/clock.h"
#include "tests/support/fake_clock.h"

namespace pinboard {
namespace {

TEST(FakeClockTest, MovesOnlyWhenTold) {
  FakeClock clock;
  const absl::Time start = clock.Now();
  EXPECT_EQ(clock.Now(), start);
  clock.Advance(absl::Seconds(3));
  EXPECT_EQ(clock.Now() - start, absl::Seconds(3));
}

TEST(SteadyNowTest, BeginsAtTheTimeOfTheMachineAndNeverGoesBack) {
  absl::Time last = SteadyNow();
  EXPECT_LT(absl::AbsDuration(last - absl::Now()), absl::Hours(1));
  for (int i = 0; i < 1000; ++i) {
    const absl::Time now = RealClock().Now();
    EXPECT_GE(now, last);
    last = now;
  }
}

}  // namespace
}  // namespace pinboard
