// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What the regression tests that need a whole group have in common.
#pragma once

#include <gtest/gtest.h>

#include <tuple>

#include "tests/system/checked_group.h"

namespace pinboard::testing {

/// {"llama" or "deepseek", ranks}.
class ScriptedGroup : public ::testing::TestWithParam<std::tuple<const char*, int>> {
 protected:
  static constexpr std::uint64_t kFirst = 1;
  static constexpr std::uint64_t kSecond = 2;

  CheckedGroupOptions Options(int cache_blocks) const {
    CheckedGroupOptions options;
    if (std::get<0>(GetParam()) == std::string("deepseek")) {
      options.model = engine::testing::TinyDeepseekJson();
    }
    options.tp = std::get<1>(GetParam());
    options.cache_blocks = cache_blocks;
    return options;
  }

  static SequenceOptions Policy(const std::string& policy = "pinboard") {
    SequenceOptions options;
    options.policy = policy;
    options.window = 8;
    options.budget = 0.1;
    options.recall_pages = 4;
    return options;
  }

  /// `count` tokens of a text, from its token `first` on.
  static TokenIds Text(int count, int first = 0) {
    TokenIds tokens;
    for (int i = first; i < first + count; ++i) tokens.push_back((i * 37 + i / 5) % 96);
    return tokens;
  }

  /// Steps of one token each.
  static void Decode(CheckedGroup& group, std::uint64_t sequence, int tokens) {
    for (int i = 0; i < tokens && !HasFailure(); ++i) {
      group.Step({{sequence, Text(1, group.engine().Length(sequence))}});
    }
  }

  /// A round that must be applied.
  static void Compress(CheckedGroup& group, std::uint64_t sequence) {
    const auto outcomes = group.Compress({sequence});
    ASSERT_FALSE(HasFailure());
    ASSERT_TRUE(outcomes[0].applied) << outcomes[0].kept_all_because;
  }
};

#define INSTANTIATE_SCRIPTED_GROUP(Name) \
  INSTANTIATE_TEST_SUITE_P(              \
      All, Name,                         \
      ::testing::Combine(::testing::Values("llama", "deepseek"), ::testing::Values(1, 2)))

}  // namespace pinboard::testing
