// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Rotary position embedding.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "engine/rope_config.h"

namespace pinboard::engine {

/// Radians per position of each pair [dim / 2]. Unscaled f_i = theta^(-2 i / dim), of which a text
/// of the original length L sees t_i = L f_i / 2 pi turns.
///   linear: f_i / factor.
///   llama3: f_i where t_i >= high_freq_factor, f_i / factor where t_i <= low_freq_factor; between
///     them the mean of both, weighted linearly in t_i.
///   yarn (arXiv 2309.00071, section 3.2): the same between t_i = beta_fast and beta_slow, weighted
///     linearly in i; with `truncate` the two i are rounded away from each other.
std::vector<double> RopeFrequencies(const RopeConfig& rope, int dim);

/// Cosines and sines of the tokens of one step, the same for all layers: the angle of pair i at
/// position p is p * frequency i, taken in double.
class RopeTable {
 public:
  /// `dim` rotated values per head (even). `interleaved`: pair i is (2 i, 2 i + 1), as DeepSeek has
  /// it, and not (i, i + dim / 2).
  RopeTable(int dim, const RopeConfig& rope, bool interleaved);

  void SetPositions(absl::Span<const std::int32_t> positions);

  /// Rotates `heads` vectors of the step's token `token` in place; they lie `stride` apart. The
  /// values keep their places: keys and queries are rotated alike, so products are as published.
  void Rotate(int token, int heads, int stride, float* vectors) const;

 private:
  int pairs_;
  int pair_stride_;                     // from one pair to the next
  int partner_offset_;                  // from a pair's first value to its second
  double scale_;                        // of cosines and sines
  std::vector<double> frequencies_;     // [pairs]
  std::vector<float> cosines_, sines_;  // [tokens, pairs]
};

}  // namespace pinboard::engine
