// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The whole system under random schedules, against an oracle that keeps every token.
//
//   PINBOARD_TEST_SEED    of the first episode; episode i has seed + i, and a failing one alone is
//                         the first of its own seed
//   PINBOARD_FUZZ_STEPS   actions to take in all, in whole episodes (default 1,000)
#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>
#include <string>

#include "tests/support/seeded_random.h"
#include "tests/system/random_episode.h"

namespace pinboard::testing {
namespace {

constexpr int kActionsPerEpisode = 250;
constexpr int kEnoughForAllThereIs = 5'000;

std::int64_t StepsToTake() {
  const char* given = std::getenv("PINBOARD_FUZZ_STEPS");
  return given != nullptr ? std::stoll(given) : 1'000;
}

TEST(SystemFuzz, AttendsExactlyWhatItsRoundsLeaveWhateverTheSchedule) {
  EpisodeCounts counts;
  std::uint32_t seed = TestSeed();
  for (const std::int64_t steps = StepsToTake(); counts.actions < steps; ++seed) {
    RandomEpisode episode(seed, kActionsPerEpisode);
    counts.Add(episode.Run());
    ASSERT_FALSE(HasFailure()) << "episode: " << episode.description()
                               << "\nalone: PINBOARD_TEST_SEED=" << seed
                               << " PINBOARD_FUZZ_STEPS=1 build/cpu-release/tests/system/"
                                  "system_fuzz_test";
  }
  std::cout << counts.ToString() << std::endl;
  if (counts.actions < kEnoughForAllThereIs) return;
  for (const std::int64_t times :
       {counts.rounds_applied, counts.rounds_kept_all, counts.rounds_disturbed,
        counts.pages_recalled, counts.misses, counts.preemptions_compacted, counts.resumes,
        counts.forks, counts.replacements, counts.finishes, counts.refusals}) {
    EXPECT_GT(times, 0) << "the schedules do not reach what they should";
  }
}

}  // namespace
}  // namespace pinboard::testing
