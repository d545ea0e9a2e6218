// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The forward pass's loops over single rows. Host memory.
#pragma once

#include <cstddef>

namespace pinboard::engine {

/// out[i] = in[i] / sqrt(mean(in^2) + eps) * weight[i]; `out` may be `in`.
void RmsNorm(const float* in, const float* weight, double eps, int dim, float* out);

struct RowSum {
  float inverse = 0.0F;      // 1 / the sum of exp(logit - max)
  float log_sum_exp = 0.0F;  // ln of the sum of exp(logit)
};
/// Replaces logits[0, count) by exp(logit - max). count >= 1.
RowSum ExponentiateRow(float* logits, int count);

/// gate[i] = silu(gate[i]) * up[i]
void SiluTimes(const float* up, std::size_t count, float* gate);

/// target[i] += source[i]
void Add(const float* source, std::size_t count, float* target);

}  // namespace pinboard::engine
