// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "base/public_status.h"

#include <gtest/gtest.h>

#include <memory>
#include <utility>

namespace pinboard {
namespace {

TEST(PublicStatusTest, EveryCodeAndItsMessageSurviveBothWays) {
  for (int code = 1; code <= 16; ++code) {
    const absl::Status inside(static_cast<absl::StatusCode>(code), "lower the budget");
    const Status installed = ToPublicStatus(inside);
    EXPECT_EQ(static_cast<int>(installed.code()), code);
    EXPECT_EQ(installed.message(), "lower the budget");
    EXPECT_EQ(ToAbslStatus(installed), inside);
  }
}

TEST(PublicStatusTest, OkHasNoMessageEitherWay) {
  EXPECT_TRUE(ToPublicStatus(absl::OkStatus()).ok());
  EXPECT_EQ(ToAbslStatus(Status(StatusCode::kOk, "ignored")), absl::OkStatus());
}

TEST(PublicStatusTest, AValueIsMovedThroughAndAnErrorStandsInItsPlace) {
  auto installed = ToPublicResult(absl::StatusOr<std::unique_ptr<int>>(std::make_unique<int>(7)));
  ASSERT_TRUE(installed.ok());
  const auto inside = ToAbslStatusOr(std::move(installed));
  ASSERT_TRUE(inside.ok());
  EXPECT_EQ(**inside, 7);

  const auto lost = ToPublicResult(absl::StatusOr<int>(absl::UnavailableError("rank 2 is lost")));
  EXPECT_EQ(lost.status().code(), StatusCode::kUnavailable);
  EXPECT_EQ(ToAbslStatusOr(lost).status(), absl::UnavailableError("rank 2 is lost"));
}

}  // namespace
}  // namespace pinboard
