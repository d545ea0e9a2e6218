// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "engine/elementwise.h"

#include <bit>
#include <cmath>
#include <cstdint>

namespace pinboard::engine {
namespace {

/// e^x within 2 units in the last place for x in [-87, 88], 0 below: vectorises, unlike std::exp.
/// x = n ln 2 + r, |r| <= ln 2 / 2; e^r by its series, 2^n through the exponent bits.
inline float FastExp(float x) {
  constexpr float kRound = 12582912.0F;  // 1.5 * 2^23: adding it rounds to an integer
  const float clamped = x < -87.0F ? -87.0F : x;
  const float shifted = clamped * 1.44269504F + kRound;
  const float n = shifted - kRound;
  const float r = (clamped - n * 0.693359375F) + n * 2.12194440e-4F;
  float series = 1.0F / 5040;
  series = series * r + 1.0F / 720;
  series = series * r + 1.0F / 120;
  series = series * r + 1.0F / 24;
  series = series * r + 1.0F / 6;
  series = series * r + 0.5F;
  series = series * r + 1.0F;
  series = series * r + 1.0F;
  const auto exponent = std::bit_cast<std::uint32_t>(shifted) << 23;
  const float value = std::bit_cast<float>(std::bit_cast<std::uint32_t>(series) + exponent);
  return x < -87.0F ? 0.0F : value;
}

}  // namespace

void RmsNorm(const float* in, const float* weight, double eps, int dim, float* out) {
  double squares = 0;
  for (int i = 0; i < dim; ++i) squares += static_cast<double>(in[i]) * in[i];
  const auto scale = static_cast<float>(1.0 / std::sqrt(squares / dim + eps));
  for (int i = 0; i < dim; ++i) out[i] = in[i] * scale * weight[i];
}

float ExponentiateRow(float* logits, int count) {
  float highest = logits[0];
#pragma omp simd reduction(max : highest)
  for (int i = 0; i < count; ++i) highest = logits[i] > highest ? logits[i] : highest;
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int i = 0; i < count; ++i) {
    logits[i] = FastExp(logits[i] - highest);
    sum += logits[i];
  }
  return 1.0F / sum;
}

void SiluTimes(const float* up, std::size_t count, float* gate) {
#pragma omp simd
  for (std::size_t i = 0; i < count; ++i) {
    const float x = gate[i];
    gate[i] = x / (1.0F + FastExp(x > -87.0F ? -x : 87.0F)) * up[i];
  }
}

void Add(const float* source, std::size_t count, float* target) {
  for (std::size_t i = 0; i < count; ++i) target[i] += source[i];
}

}  // namespace pinboard::engine
