// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// EntropyParts in single precision, of the logits that one thread goes through.
#pragma once

#include <cuda_runtime_api.h>

#include <limits>

namespace pinboard::kernels {

inline constexpr float kLog2E = 1.44269504F;
inline constexpr float kMostBelow = -1000.0F;  // weighs nothing, as -inf does, but times 0 is 0

__device__ inline float Exp2(float x) {
  float power;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(power) : "f"(x));
  return power;
}

/// Of any logits. A NaN or +inf makes its sum NaN.
struct ThreadPart {
  float largest = std::numeric_limits<float>::lowest();
  float sum = 0.0F;
  float weighted = 0.0F;

  template <int kValues>
  __device__ void Add(const float (&logits)[kValues]) {
    float most = logits[0];
#pragma unroll
    for (int i = 1; i < kValues; ++i) most = fmaxf(most, logits[i]);
    if (most > largest) RaiseTo(most);
#pragma unroll
    for (int i = 0; i < kValues; ++i) {
      const float below = logits[i] - largest;
      const float weight = Exp2(below * kLog2E);
      sum += weight;
      weighted = __fmaf_rn(weight, fmaxf(below, kMostBelow), weighted);
    }
  }
  __device__ void RaiseTo(float most) {
    const float below = fmaxf(largest - most, kMostBelow);
    const float weight = Exp2(below * kLog2E);
    weighted = weight * __fmaf_rn(below, sum, weighted);
    sum *= weight;
    largest = most;
  }
};

/// The same with one multiplication a logit less, in units of ln 2: relative to `top`, which is the
/// largest logit's or, before any, 0. Without meaning where kLog2E times that logit is no float.
struct ScaledPart {
  float largest = std::numeric_limits<float>::lowest();
  float top = 0.0F;
  float sum = 0.0F;
  float weighted = 0.0F;

  /// None of them exceeds `largest`.
  template <int kValues>
  __device__ void Add(const float (&logits)[kValues]) {
#pragma unroll
    for (int i = 0; i < kValues; ++i) {
      const float below = __fmaf_rn(logits[i], kLog2E, -top);
      const float weight = Exp2(below);
      sum += weight;
      weighted = __fmaf_rn(weight, fmaxf(below, kMostBelow), weighted);
    }
  }
  __device__ void RaiseTo(float most) {
    const float to = most * kLog2E;
    const float below = fminf(fmaxf(top - to, kMostBelow), 0.0F);
    const float weight = Exp2(below);
    weighted = weight * __fmaf_rn(below, sum, weighted);
    sum *= weight;
    top = to;
    largest = most;
  }
};

}  // namespace pinboard::kernels
