// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/strings/str_cat.h"
#include "kernels/projection_sketch/projection_sketch.h"
#include "kernels/projection_sketch/projection_sketch_core.h"
#include "kernels/vector_clones.h"

namespace pinboard::kernels {
namespace {

/// Adds matrix[d, :] * state[d] over d to sums[width].
PB_VECTOR_CLONES void AddProjections(const float* state, const float* matrix, int dim, int width,
                                     float* sums) {
  for (int d = 0; d < dim; ++d) {
    const float* row = matrix + std::ptrdiff_t{d} * width;
    const float value = state[d];
    for (int j = 0; j < width; ++j) sums[j] += row[j] * value;
  }
}

}  // namespace

std::vector<float> SketchMatrix(int dim, int width) {
  std::vector<float> matrix(static_cast<std::size_t>(dim) * width);
  for (int j = 0; j < width; ++j) {
    std::uint64_t signs = 0;
    for (int d = 0; d < dim; ++d) {
      if (d % 64 == 0) {
        signs = SketchSigns(static_cast<std::uint32_t>(j), static_cast<std::uint32_t>(d / 64));
      }
      matrix[static_cast<std::size_t>(d) * width + j] = SketchSign(signs, d % 64);
    }
  }
  return matrix;
}

absl::Status ProjectionSketch(absl::Span<const float> hidden, absl::Span<const float> matrix,
                              int tokens, int dim, int width, absl::Span<float> sketch) {
  if (tokens < 0 || dim <= 0 || width <= 0 ||
      hidden.size() != static_cast<std::size_t>(tokens) * dim ||
      matrix.size() != static_cast<std::size_t>(dim) * width ||
      sketch.size() != static_cast<std::size_t>(tokens) * width) {
    return absl::InvalidArgumentError(
        absl::StrCat("ProjectionSketch: ", hidden.size(), " values by ", matrix.size(), " to ",
                     sketch.size(), " for ", tokens, " tokens of ", dim, " to ", width));
  }
  for (int t = 0; t < tokens; ++t) {
    float* sums = sketch.data() + std::ptrdiff_t{t} * width;
    std::fill_n(sums, width, 0.0F);
    AddProjections(hidden.data() + std::ptrdiff_t{t} * dim, matrix.data(), dim, width, sums);
    if (std::all_of(sums, sums + width, [](float sum) { return std::isfinite(sum); })) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("ProjectionSketch: the hidden state of token ", t, " is not finite"));
  }
  return absl::OkStatus();
}

}  // namespace pinboard::kernels
