// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/metrics.h"

namespace pinboard {

/// A series of a registry as it is exposed now, or 0 where there is none.
inline double MetricValue(const MetricRegistry& metrics, const std::string& series) {
  const std::string text = absl::StrCat("\n", metrics.ExpositionText());
  const std::string line_start = absl::StrCat("\n", series, " ");
  const std::size_t line = text.find(line_start);
  double value = 0;
  if (line == std::string::npos) return value;
  const std::size_t begin = line + line_start.size();
  EXPECT_TRUE(absl::SimpleAtod(text.substr(begin, text.find('\n', begin) - begin), &value));
  return value;
}

}  // namespace pinboard
