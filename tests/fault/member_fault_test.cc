// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Random faults of three members and their clients. PINBOARD_FAULT_RUNS says how many runs, and
// PINBOARD_TEST_SEED the first one's seed; the others count up from it. scripts/test-faults.
#include <gtest/gtest.h>

#include <iostream>

#include "base/log.h"
#include "tests/fault/fault_settings.h"
#include "tests/fault/member_fault_run.h"
#include "tests/support/seeded_random.h"

namespace pinboard::testing {
namespace {

TEST(MemberFaultTest, NoByteIsWrongNobodyHangsAndWhatWasCopiedOutlivesAMember) {
  InitLog("faults", LogLevel::kOff);
  const std::uint32_t first = TestSeed();
  const int runs = FaultRuns(6);
  FaultOutcome total;
  for (int run = 0; run < runs; ++run) {
    const std::uint32_t seed = first + static_cast<std::uint32_t>(run);
    const MemberFaultPlan plan = DrawMemberPlan(seed);
    const FaultOutcome outcome = MemberFaultRun(plan, ::testing::TempDir(), FaultPatience()).Play();
    total.Add(outcome);
    for (const std::string& violation : outcome.violations) {
      ADD_FAILURE() << violation << "\n  PINBOARD_TEST_SEED=" << seed
                    << " PINBOARD_FAULT_RUNS=1\n  " << plan.Describe();
    }
    if ((run + 1) % 100 == 0) std::cout << run + 1 << " runs: " << total.ToString() << std::endl;
  }
  std::cout << runs << " runs from seed " << first << ": " << total.ToString() << std::endl;
  EXPECT_GT(total.hits, 0U);
}

}  // namespace
}  // namespace pinboard::testing
