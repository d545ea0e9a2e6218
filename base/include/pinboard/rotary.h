// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// How queries and keys carry their position, as an engine describes it to Pinboard.
#pragma once

#include <vector>

namespace pinboard {

/// Pair i of a head's rotary values, which begin at `first_dim` of the key, is turned by
/// frequencies[i] * position. With n pairs, pair i is (i, i + n) or, `interleaved`, (2 i, 2 i + 1).
struct RotaryShape {
  int first_dim = 0;
  bool interleaved = false;
  std::vector<double> frequencies;  // radians per position
};

}  // namespace pinboard
