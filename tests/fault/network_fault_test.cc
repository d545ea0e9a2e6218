// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Faults of the network between a service and its clients: one at a time, then at random
// (PINBOARD_FAULT_RUNS, PINBOARD_TEST_SEED as for random_fault_test).
#include <gtest/gtest.h>

#include "base/log.h"
#include "tests/fault/fault_run.h"
#include "tests/fault/fault_settings.h"
#include "tests/fault/random_runs.h"

namespace pinboard::testing {
namespace {

class NetworkFaultTest : public ::testing::Test {
 protected:
  void SetUp() override {
    InitLog("faults", LogLevel::kOff);
    const absl::Status may = CheckMayMakeNetworks();
    if (!may.ok()) GTEST_SKIP() << may << ": run as root on a kernel with TUN";
  }

  /// Two clients that work all the while.
  static FaultPlan QuietPlan() {
    FaultPlan plan;
    plan.clients = 2;
    plan.client_seed = 7;
    plan.mapped = false;
    plan.networked = true;
    plan.arena_bytes = std::uint64_t{4} << 20;
    plan.load = absl::Milliseconds(500);
    plan.client_faults.resize(2);
    return plan;
  }
  static FaultOutcome Play(const FaultPlan& plan, absl::Duration patience = FaultPatience()) {
    FaultOutcome outcome = FaultRun(plan, ::testing::TempDir(), patience).Play();
    for (const std::string& violation : outcome.violations) {
      ADD_FAILURE() << violation << "\n  " << plan.Describe();
    }
    EXPECT_GT(outcome.hits, 0U) << plan.Describe();
    std::cout << plan.Describe() << "\n  " << outcome.ToString() << std::endl;
    return outcome;
  }
  static FaultOutcome PlayWith(const Link& to_service, const Link& from_service,
                               absl::Duration lasts, absl::Duration patience = FaultPatience()) {
    FaultPlan plan = QuietPlan();
    plan.events = {{.at = absl::Milliseconds(200),
                    .kind = EventKind::kChangeLink,
                    .to_service = to_service,
                    .from_service = from_service,
                    .lasts = lasts}};
    return Play(plan, patience);
  }
};

constexpr Link kWell = {};
constexpr Link kCut = {.cut = true};

TEST_F(NetworkFaultTest, AcrossHostsAllGoesAsOnOne) {
  EXPECT_EQ(Play(QuietPlan()).unavailable, 0U);
}

TEST_F(NetworkFaultTest, ALinkThatIsCutCostsMissesAndIsUsedAgainAtOnce) {
  EXPECT_GT(PlayWith(kCut, kCut, absl::Seconds(1)).unavailable, 0U);
}

// TCP tries again 6.4 s after its attempt in the seventh second.
TEST_F(NetworkFaultTest, ALinkThatIsCutForLongIsUsedAgainBeforeTcpWouldTry) {
  const FaultOutcome outcome = PlayWith(kCut, kCut, absl::Seconds(7), absl::Seconds(5));
  EXPECT_GT(outcome.unavailable, 0U);
}

TEST_F(NetworkFaultTest, ALinkThatIsCutOneWayCostsMissesAndIsUsedAgainAtOnce) {
  EXPECT_GT(PlayWith(kCut, kWell, absl::Seconds(2)).unavailable, 0U);
  EXPECT_GT(PlayWith(kWell, kCut, absl::Seconds(2)).unavailable, 0U);
}

TEST_F(NetworkFaultTest, ALateLinkMeetsNoDeadlineAndLosesNothing) {
  const Link late = {.delay = absl::Milliseconds(200)};
  EXPECT_GT(PlayWith(late, late, absl::Seconds(2)).unavailable, 0U);
}

TEST_F(NetworkFaultTest, ALinkThatLosesPacketsLosesNoPage) {
  const Link lossy = {.loss = 0.05};
  PlayWith(lossy, lossy, absl::Seconds(2));
}

TEST_F(NetworkFaultTest, NoByteIsWrongNobodyHangsAndWhatSurvivesIsReadable) {
  EXPECT_GT(PlayRandomRuns<FaultRun>(4, DrawNetworkPlan).pages_checked, 0U);
}

}  // namespace
}  // namespace pinboard::testing
