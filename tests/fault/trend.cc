// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/fault/trend.h"

#include <cmath>
#include <cstddef>
#include <numeric>

namespace pinboard::testing {

bool Trend::flat() const { return growth() < 0.01 * mean || slope <= 3 * slope_error; }

Trend FitTrend(const std::vector<double>& seconds, const std::vector<double>& values) {
  const auto count = static_cast<double>(seconds.size());
  const double mean_time = std::accumulate(seconds.begin(), seconds.end(), 0.0) / count;
  Trend trend;
  trend.mean = std::accumulate(values.begin(), values.end(), 0.0) / count;
  trend.seconds = seconds.back() - seconds.front();
  double times = 0;
  double products = 0;
  for (std::size_t i = 0; i < seconds.size(); ++i) {
    times += (seconds[i] - mean_time) * (seconds[i] - mean_time);
    products += (seconds[i] - mean_time) * (values[i] - trend.mean);
  }
  trend.slope = products / times;
  double squares = 0;
  for (std::size_t i = 0; i < seconds.size(); ++i) {
    const double rest = values[i] - trend.mean - trend.slope * (seconds[i] - mean_time);
    squares += rest * rest;
  }
  trend.slope_error = std::sqrt(squares / (count - 2) / times);
  return trend;
}

}  // namespace pinboard::testing
