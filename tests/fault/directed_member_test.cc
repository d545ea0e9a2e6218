// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// One fault of a member at a time, while clients work: at each step of copies and pulls.
#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/log.h"
#include "cache_service/fault_points.h"
#include "tests/fault/member_fault_run.h"

namespace pinboard::testing {
namespace {

namespace fault = cache_service::fault;

constexpr absl::Duration kPatience = absl::Seconds(20);
constexpr std::uint64_t kLosses = 2;  // members that each run kills at its end

/// Plays a run in which member 1 does `action` at its fifth passage of `point`, as clients work.
FaultOutcome PlayAt(const std::string& point, const std::string& action) {
  InitLog("faults", LogLevel::kOff);
  MemberFaultPlan plan;
  plan.seed = 7;
  plan.clients = 2;
  plan.client_faults.resize(2);
  plan.load = absl::Milliseconds(100);
  plan.until_fault = true;
  plan.pause = absl::Milliseconds(400);  // longer than clients wait for an answer
  plan.downtime = absl::Milliseconds(20);
  plan.member_faults[1] = absl::StrCat(point, "=5:", action);
  FaultOutcome outcome = MemberFaultRun(plan, ::testing::TempDir(), kPatience).Play();
  for (const std::string& violation : outcome.violations) {
    ADD_FAILURE() << violation << "\n  " << plan.Describe();
  }
  EXPECT_GT(outcome.hits, 0U) << plan.Describe();
  return outcome;
}

TEST(MemberPointsTest, AMemberKilledAtAnyStepOfACopyLosesNothingThatWasCopied) {
  for (const char* point : fault::kMemberPoints) {
    const FaultOutcome outcome = PlayAt(point, "kill");
    EXPECT_EQ(outcome.kills, 1 + kLosses) << point;
    EXPECT_EQ(outcome.stops, 0U) << point;
  }
}

TEST(MemberPointsTest, AMemberStoppedAtAnyStepOfACopyLosesNothingThatWasCopied) {
  for (const char* point : fault::kMemberPoints) {
    const FaultOutcome outcome = PlayAt(point, "stop");
    EXPECT_EQ(outcome.kills, kLosses) << point;
    EXPECT_EQ(outcome.stops, 1U) << point;
  }
}

}  // namespace
}  // namespace pinboard::testing
