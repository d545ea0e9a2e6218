// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Keep-all below the protected prompt: a round that had nothing to evict still lowered the budget,
// and the next one took the prompt.
#include "tests/regression/scripted_group.h"

namespace pinboard::testing {
namespace {

using KeepAllBelowTheProtectedPrompt = ScriptedGroup;

TEST_P(KeepAllBelowTheProtectedPrompt, RoundsWithNothingToGainLeaveThePromptWhole) {
  constexpr int kPrompt = 100;
  CheckedGroup group(Options(/*cache_blocks=*/32));
  SequenceOptions options = Policy("rpc");
  options.prompt_tokens = kPrompt;
  options.budget = 0.05;  // of 100 to 220 tokens: never near the prompt
  group.Add(kFirst, options);
  int applied = 0;
  int kept_all = 0;
  for (int read = 0; read < kPrompt; read += 50) {
    group.Step({{kFirst, Text(50, read)}});
    EXPECT_FALSE(group.Compress({kFirst})[0].applied) << "the prompt is all there is";
  }
  for (int round = 0; round < 12 && !HasFailure(); ++round) {
    Decode(group, kFirst, 10);
    const auto outcomes = group.Compress({kFirst});
    ASSERT_FALSE(HasFailure());
    ++(outcomes[0].applied ? applied : kept_all);
    for (int layer = 0; layer < group.layers(); ++layer) {
      auto rows = group.Positions(kFirst, layer);
      std::sort(rows.begin(), rows.end());
      for (int position = 0; position < kPrompt; ++position) ASSERT_EQ(rows[position], position);
    }
  }
  EXPECT_GT(applied, 1);
  EXPECT_GT(kept_all, 0);
}

INSTANTIATE_SCRIPTED_GROUP(KeepAllBelowTheProtectedPrompt);

}  // namespace
}  // namespace pinboard::testing
