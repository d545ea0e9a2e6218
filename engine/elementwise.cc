// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "engine/elementwise.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>

namespace pinboard::engine {
namespace {

constexpr float kLowestExponent = -87.0F;  // e^-87 is still a normal float

// Inlined into each variant below, so that the same loop is compiled for each instruction set.
#define PB_ALWAYS_INLINE [[gnu::always_inline]] inline

/// e^x within 2 units in the last place for x in [-87, 88]: vectorises, unlike std::exp.
/// x = n ln 2 + r, |r| <= ln 2 / 2; e^r by its series, 2^n through the exponent bits.
PB_ALWAYS_INLINE float FastExp(float x) {
  constexpr float kRound = 12582912.0F;  // 1.5 * 2^23: adding it rounds to an integer
  const float shifted = x * 1.44269504F + kRound;
  const float n = shifted - kRound;
  const float r = (x - n * 0.693359375F) + n * 2.12194440e-4F;
  float series = 1.0F / 5040;
  series = series * r + 1.0F / 720;
  series = series * r + 1.0F / 120;
  series = series * r + 1.0F / 24;
  series = series * r + 1.0F / 6;
  series = series * r + 0.5F;
  series = series * r + 1.0F;
  series = series * r + 1.0F;
  const auto exponent = std::bit_cast<std::uint32_t>(shifted) << 23;
  return std::bit_cast<float>(std::bit_cast<std::uint32_t>(series) + exponent);
}

/// Lane by lane: compilers do not reorder a maximum of floats by themselves.
PB_ALWAYS_INLINE float Highest(const float* values, int count) {
  constexpr int kLanes = 16;
  float lanes[kLanes];
  std::fill_n(lanes, kLanes, values[0]);
  int i = 0;
  for (; i + kLanes <= count; i += kLanes) {
#pragma omp simd
    for (int lane = 0; lane < kLanes; ++lane) {
      lanes[lane] = values[i + lane] > lanes[lane] ? values[i + lane] : lanes[lane];
    }
  }
  float highest = *std::max_element(lanes, lanes + kLanes);
  for (; i < count; ++i) highest = std::max(highest, values[i]);
  return highest;
}

PB_ALWAYS_INLINE RowSum ExponentiateRowBody(float* logits, int count) {
  const float highest = Highest(logits, count);
  // Clamped in a loop of its own: inside the next one the compilers make it a branch.
#pragma omp simd
  for (int i = 0; i < count; ++i) logits[i] = std::max(logits[i] - highest, kLowestExponent);
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int i = 0; i < count; ++i) {
    logits[i] = FastExp(logits[i]);
    sum += logits[i];
  }
  return {1.0F / sum, highest + std::log(sum)};
}

PB_ALWAYS_INLINE void SiluTimesBody(const float* up, std::size_t count, float* gate) {
  std::array<float, 256> exponents;
  for (std::size_t first = 0; first < count; first += exponents.size()) {
    const std::size_t size = std::min(exponents.size(), count - first);
    float* x = gate + first;
#pragma omp simd
    for (std::size_t i = 0; i < size; ++i) {
      exponents[i] = std::min(std::max(-x[i], kLowestExponent), -kLowestExponent);
    }
#pragma omp simd
    for (std::size_t i = 0; i < size; ++i) {
      x[i] = x[i] / (1.0F + FastExp(exponents[i])) * up[first + i];
    }
  }
}

struct Loops {
  RowSum (*exponentiate_row)(float*, int);
  void (*silu_times)(const float*, std::size_t, float*);
};

RowSum ExponentiateRowPortable(float* logits, int count) {
  return ExponentiateRowBody(logits, count);
}
void SiluTimesPortable(const float* up, std::size_t count, float* gate) {
  SiluTimesBody(up, count, gate);
}

#if defined(__x86_64__)
[[gnu::target("avx2")]] RowSum ExponentiateRowAvx2(float* logits, int count) {
  return ExponentiateRowBody(logits, count);
}
[[gnu::target("avx2")]] void SiluTimesAvx2(const float* up, std::size_t count, float* gate) {
  SiluTimesBody(up, count, gate);
}
#endif

Loops ChooseLoops() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2")) return {ExponentiateRowAvx2, SiluTimesAvx2};
#endif
  return {ExponentiateRowPortable, SiluTimesPortable};
}

const Loops& TheLoops() {
  static const Loops loops = ChooseLoops();
  return loops;
}

}  // namespace

void RmsNorm(const float* in, const float* weight, double eps, int dim, float* out) {
  double squares = 0;
  for (int i = 0; i < dim; ++i) squares += static_cast<double>(in[i]) * in[i];
  const auto scale = static_cast<float>(1.0 / std::sqrt(squares / dim + eps));
  for (int i = 0; i < dim; ++i) out[i] = in[i] * scale * weight[i];
}

RowSum ExponentiateRow(float* logits, int count) {
  return TheLoops().exponentiate_row(logits, count);
}

void SiluTimes(const float* up, std::size_t count, float* gate) {
  TheLoops().silu_times(up, count, gate);
}

void Add(const float* source, std::size_t count, float* target) {
  for (std::size_t i = 0; i < count; ++i) target[i] += source[i];
}

}  // namespace pinboard::engine
