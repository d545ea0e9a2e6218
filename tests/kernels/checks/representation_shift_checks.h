// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What every implementation of RepresentationShift must do.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "base/dtype.h"
#include "kernels/representation_shift/representation_shift.h"
#include "tests/support/seeded_random.h"

namespace pinboard::kernels::checks {

/// bf16: the states are such as bf16 holds.
template <typename ShiftFn>
void ExpectCosineDistance(ShiftFn shift_of, int dim, bool bf16, SeededRandom& random) {
  const int tokens = random.Int(1, 5);
  auto hidden = random.Normals(static_cast<std::size_t>(tokens * dim), 10.0F);
  auto final = hidden;
  for (float& value : final) value += random.Normal(random.Pick<float>({1e-6F, 0.01F, 20.0F}));
  for (auto* states : {&hidden, &final}) {
    for (float& value : *states) {
      if (bf16) value = BFloat16ToFloat(FloatToBFloat16(value));
    }
  }
  std::vector<float> shift(static_cast<std::size_t>(tokens));
  const absl::Status status = shift_of(hidden, final, tokens, dim, absl::MakeSpan(shift));
  ASSERT_TRUE(status.ok()) << status;
  for (int t = 0; t < tokens; ++t) {
    long double dot = 0;
    long double h = 0;
    long double f = 0;
    for (int d = 0; d < dim; ++d) {
      const long double a = hidden[t * dim + d];
      const long double b = final[t * dim + d];
      dot += a * b;
      h += a * a;
      f += b * b;
    }
    ASSERT_NEAR(shift[t], static_cast<double>(1 - dot / std::sqrt(h * f)), 2e-7);
    ASSERT_GE(shift[t], 0.0F);
    ASSERT_LE(shift[t], 2.0F);
  }
}

}  // namespace pinboard::kernels::checks
