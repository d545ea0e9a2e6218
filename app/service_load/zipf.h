// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Ranks drawn by Zipf's law.
#pragma once

#include <cstdint>
#include <random>
#include <vector>

namespace pinboard::app {

/// Rank k of [0, ranks) with a probability proportional to (k + 1)^-skew; 0: all alike.
/// Eight bytes a rank; thread-safe.
class Zipf {
 public:
  Zipf(std::uint32_t ranks, double skew);
  std::uint32_t Draw(std::mt19937_64& random) const;

 private:
  std::vector<double> cumulative_;
};

}  // namespace pinboard::app
