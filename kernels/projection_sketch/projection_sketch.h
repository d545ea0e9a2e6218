// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A few random projections of a hidden state, in place of the state: enough for D (docs/method.md
// 6).
#pragma once

#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"

namespace pinboard::kernels {

/// Signs of +1 and -1 [dim, width], the same wherever they are made.
std::vector<float> SketchMatrix(int dim, int width);

/// sketch = hidden * matrix: hidden [tokens, dim], matrix [dim, width], sketch [tokens, width],
/// host memory, sums in ascending order of dim.
///
/// RepresentationShift of two states' sketches estimates that of the states: exact where they are
/// parallel, else with a standard deviation of about (1 - cos^2) / sqrt(width), at most
/// 1 / sqrt(width), as the correlation of `width` paired samples (Fisher 1915). So E = (D + tau) *
/// H is off by that share of 1 / (D + tau). InvalidArgument: sizes disagree, or a state is not
/// finite.
absl::Status ProjectionSketch(absl::Span<const float> hidden, absl::Span<const float> matrix,
                              int tokens, int dim, int width, absl::Span<float> sketch);

}  // namespace pinboard::kernels
