// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <cstddef>

#include "absl/strings/str_cat.h"
#include "kernels/representation_shift/representation_shift.h"
#include "kernels/representation_shift/representation_shift_core.h"
#include "kernels/vector_clones.h"

namespace pinboard::kernels {
namespace {

constexpr int kLanes = 8;

/// sum a_d * b_d in double: eight sums side by side, added up in order.
PB_VECTOR_CLONES double Dot(const float* a, const float* b, int dim) {
  double lanes[kLanes] = {};
  const int whole = dim - dim % kLanes;
  for (int d = 0; d < whole; d += kLanes) {
    for (int l = 0; l < kLanes; ++l) {
      lanes[l] += static_cast<double>(a[d + l]) * static_cast<double>(b[d + l]);
    }
  }
  double sum = 0.0;
  for (int d = whole; d < dim; ++d) sum += static_cast<double>(a[d]) * static_cast<double>(b[d]);
  for (const double lane : lanes) sum += lane;
  return sum;
}

}  // namespace

absl::Status RepresentationShift(absl::Span<const float> hidden,
                                 absl::Span<const float> final_hidden, int tokens, int dim,
                                 absl::Span<float> shift) {
  if (tokens < 0 || dim <= 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("RepresentationShift: ", tokens, " tokens of dimension ", dim));
  }
  const std::size_t values = static_cast<std::size_t>(tokens) * static_cast<std::size_t>(dim);
  const std::size_t whole_layers = tokens == 0 ? 0 : shift.size() / tokens * tokens;
  if (shift.size() != whole_layers || hidden.size() != shift.size() * dim ||
      final_hidden.size() != values) {
    return absl::InvalidArgumentError(absl::StrCat("RepresentationShift: ", hidden.size(), " and ",
                                                   final_hidden.size(), " values for ",
                                                   shift.size(), " results: the shape needs ",
                                                   values, " and ", tokens, ", or layers of them"));
  }
  for (std::size_t i = 0; i < shift.size(); ++i) {
    const std::size_t t = i % tokens;
    const float* h = hidden.data() + i * dim;
    const float* f = final_hidden.data() + t * dim;
    const double hidden_square = Dot(h, h, dim);
    const double final_square = Dot(f, f, dim);
    if (!std::isfinite(hidden_square) || !std::isfinite(final_square)) {
      return absl::InvalidArgumentError(
          absl::StrCat("RepresentationShift: a hidden state of token ", t, " is not finite"));
    }
    shift[i] = ShiftOf(Dot(h, f, dim), hidden_square, final_square);
  }
  return absl::OkStatus();
}

}  // namespace pinboard::kernels
