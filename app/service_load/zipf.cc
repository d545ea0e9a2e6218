// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "app/service_load/zipf.h"

#include <algorithm>
#include <cmath>

namespace pinboard::app {

Zipf::Zipf(std::uint32_t ranks, double skew) {
  cumulative_.reserve(ranks);
  double sum = 0;
  for (std::uint32_t rank = 0; rank < ranks; ++rank) {
    sum += std::pow(rank + 1.0, -skew);
    cumulative_.push_back(sum);
  }
}

std::uint32_t Zipf::Draw(std::mt19937_64& random) const {
  const double point = std::uniform_real_distribution<double>(0, cumulative_.back())(random);
  const auto found = std::upper_bound(cumulative_.begin(), cumulative_.end() - 1, point);
  return static_cast<std::uint32_t>(found - cumulative_.begin());
}

}  // namespace pinboard::app
