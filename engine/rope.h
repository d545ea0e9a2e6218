// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Rotary position embedding.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/types/span.h"

namespace pinboard::engine {

/// Cosines and sines of the tokens of one step, the same for all layers: the angle of pair i at
/// position p is p * theta^(-2 i / dim), taken in double.
class RopeTable {
 public:
  /// `dim` rotated values per head (even). `interleaved`: pair i is (2 i, 2 i + 1), as DeepSeek has
  /// it, and not (i, i + dim / 2).
  RopeTable(int dim, double theta, bool interleaved);

  void SetPositions(absl::Span<const std::int32_t> positions);

  /// Rotates `heads` vectors of the step's token `token` in place; they lie `stride` apart. The
  /// values keep their places: keys and queries are rotated alike, so products are as published.
  void Rotate(int token, int heads, int stride, float* vectors) const;

 private:
  int pairs_;
  int pair_stride_;                     // from one pair to the next
  int partner_offset_;                  // from a pair's first value to its second
  std::vector<double> frequencies_;     // [pairs]
  std::vector<float> cosines_, sines_;  // [tokens, pairs]
};

}  // namespace pinboard::engine
