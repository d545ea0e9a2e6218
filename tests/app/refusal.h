// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A program that refuses: the exit code and the one line that says why.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

#include "absl/strings/str_join.h"
#include "tests/app/program.h"

namespace pinboard::app {

/// Expects the exit code, nothing on standard output and one line on standard error, which is
/// returned without its prefix "pinboard: ".
inline std::string Refusal(const std::vector<std::string>& arguments, int code) {
  Program program(arguments);
  EXPECT_EQ(program.Wait(), code) << absl::StrJoin(arguments, " ") << ": " << program.Err();
  EXPECT_THAT(program.Out(), ::testing::IsEmpty());
  const std::string error = program.Err();
  EXPECT_TRUE(IsOneLine(error)) << error;
  EXPECT_THAT(error, ::testing::StartsWith("pinboard: "));
  return error.substr(std::min<std::size_t>(error.size(), 10));
}

}  // namespace pinboard::app
