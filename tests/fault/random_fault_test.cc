// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Random faults of a service and its clients. PINBOARD_FAULT_RUNS says how many runs, and
// PINBOARD_TEST_SEED the first one's seed; the others count up from it. scripts/test-faults.
#include <gtest/gtest.h>

#include "tests/fault/fault_run.h"
#include "tests/fault/random_runs.h"

namespace pinboard::testing {
namespace {

TEST(RandomFaultTest, NoByteIsWrongNobodyHangsAndWhatSurvivesIsReadable) {
  EXPECT_GT(PlayRandomRuns<FaultRun>(16, DrawPlan).pages_checked, 0U);
}

}  // namespace
}  // namespace pinboard::testing
