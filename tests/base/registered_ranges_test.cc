// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "base/cuda/registered_ranges.h"

#include <gtest/gtest.h>

#include <array>

namespace pinboard::cuda {
namespace {

TEST(RegisteredRanges, KnowsEveryByteOfEachRangeAndNoOther) {
  std::array<std::byte, 100> memory{};
  RegisteredRanges ranges;
  EXPECT_FALSE(ranges.Contains(memory.data()));
  ranges.Add(absl::MakeSpan(memory).subspan(10, 20));
  ranges.Add(absl::MakeSpan(memory).subspan(30, 5));
  ranges.Add(absl::MakeSpan(memory).subspan(60, 10));
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(ranges.Contains(&memory[i]), (i >= 10 && i < 35) || (i >= 60 && i < 70)) << i;
  }
}

TEST(RegisteredRanges, ForgetsARangeWithItsRegistration) {
  std::array<std::byte, 100> memory{};
  RegisteredRanges ranges;
  ranges.Add(absl::MakeSpan(memory).subspan(0, 50));
  ranges.Add(absl::MakeSpan(memory).subspan(50, 50));
  ranges.Remove(memory.data());
  EXPECT_FALSE(ranges.Contains(memory.data()));
  EXPECT_FALSE(ranges.Contains(&memory[49]));
  EXPECT_TRUE(ranges.Contains(&memory[50]));
}

}  // namespace
}  // namespace pinboard::cuda
