// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Runs of plans drawn from seeds, one after another.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <iostream>
#include <string>

#include "base/log.h"
#include "tests/fault/fault_run.h"
#include "tests/fault/fault_settings.h"
#include "tests/support/seeded_random.h"

namespace pinboard::testing {

/// Plays `runs` plans, or as many as PINBOARD_FAULT_RUNS says, of the test's seed and those after
/// it: Run(draw(seed), directory, patience). A violation is a failure that names its run.
/// Returns what came of all of them.
template <typename Run, typename DrawFn>
FaultOutcome PlayRandomRuns(int runs, DrawFn draw) {
  InitLog("faults", LogLevel::kOff);
  const std::uint32_t first = TestSeed();
  runs = FaultRuns(runs);
  FaultOutcome total;
  for (int run = 0; run < runs; ++run) {
    const std::uint32_t seed = first + static_cast<std::uint32_t>(run);
    const auto plan = draw(seed);
    const FaultOutcome outcome = Run(plan, ::testing::TempDir(), FaultPatience()).Play();
    total.Add(outcome);
    for (const std::string& violation : outcome.violations) {
      ADD_FAILURE() << violation << "\n  PINBOARD_TEST_SEED=" << seed
                    << " PINBOARD_FAULT_RUNS=1\n  " << plan.Describe();
    }
    if ((run + 1) % 100 == 0) std::cout << run + 1 << " runs: " << total.ToString() << std::endl;
  }
  std::cout << runs << " runs from seed " << first << ": " << total.ToString() << std::endl;
  EXPECT_GT(total.hits, 0U);
  return total;
}

}  // namespace pinboard::testing
