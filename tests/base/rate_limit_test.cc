// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "base/rate_limit.h"

#include <gtest/gtest.h>

namespace pinboard {
namespace {

TEST(RateLimit, ABurstAndThenOneAfterEachInterval) {
  RateLimit limit(3, absl::Seconds(2));
  absl::Time now = absl::UnixEpoch();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(limit.Take(now), 0);
  EXPECT_EQ(limit.Take(now), std::nullopt);
  now += absl::Milliseconds(1999);
  EXPECT_EQ(limit.Take(now), std::nullopt);
  now += absl::Milliseconds(1);
  EXPECT_EQ(limit.Take(now), 2) << "those that were refused";
  EXPECT_EQ(limit.Take(now), std::nullopt);
  now += absl::Seconds(4);
  EXPECT_EQ(limit.Take(now), 1);
  EXPECT_EQ(limit.Take(now), 0);
  EXPECT_EQ(limit.Take(now), std::nullopt);
}

TEST(RateLimit, NoMoreThanABurstIsSaved) {
  RateLimit limit(2, absl::Seconds(1));
  EXPECT_EQ(limit.Take(absl::UnixEpoch()), 0);
  const absl::Time later = absl::UnixEpoch() + absl::Hours(1);
  EXPECT_EQ(limit.Take(later), 0);
  EXPECT_EQ(limit.Take(later), 0);
  EXPECT_EQ(limit.Take(later), std::nullopt);
}

}  // namespace
}  // namespace pinboard
