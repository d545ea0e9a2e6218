// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The median of what was measured.
#pragma once

#include <algorithm>
#include <functional>
#include <vector>

namespace pinboard::bench {

/// The value that stands in the middle once all, at least one, are in the order of `less`; of an
/// even count, the upper of the two.
template <typename Value, typename Less = std::less<>>
Value Median(std::vector<Value> values, const Less& less = Less()) {
  const auto middle = values.begin() + values.size() / 2;
  std::nth_element(values.begin(), middle, values.end(), less);
  return *middle;
}

}  // namespace pinboard::bench
