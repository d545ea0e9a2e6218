// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Whether a measured quantity grows.
#pragma once

#include <vector>

namespace pinboard::testing {

/// A straight line through samples, by least squares.
struct Trend {
  double mean = 0;
  double slope = 0;        // per second
  double slope_error = 0;  // standard error
  double seconds = 0;      // between the first and the last sample

  double growth() const { return slope * seconds; }
  /// The line rises by less than a hundredth of the mean, or by no more than three standard errors.
  bool flat() const;
};

/// Requires at least three samples, not all of one time; the vectors are parallel.
Trend FitTrend(const std::vector<double>& seconds, const std::vector<double>& values);

}  // namespace pinboard::testing
