// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The engine's matrix products, through OpenBLAS. Row-major float, host memory.
#pragma once

#include "engine/weights.h"

namespace pinboard::engine {

/// Threads of all later products of this process: max(1, cores it may use / ranks), so that the
/// ranks of one machine do not fight for its cores.
void SetProductThreads(int ranks);

/// A matrix inside a larger one: row i begins at data + i * stride.
struct ConstMatrix {
  const float* data = nullptr;
  int stride = 0;
};
struct Matrix {
  float* data = nullptr;
  int stride = 0;
};

/// c [m, n] = a [m, k] b [k, n]
void Multiply(int m, int n, int k, ConstMatrix a, ConstMatrix b, Matrix c);
/// c [m, n] = scale * a [m, k] b^T, b [n, k]
void MultiplyTransposed(int m, int n, int k, float scale, ConstMatrix a, ConstMatrix b, Matrix c);

/// out [rows, linear.out] = in [rows, linear.in] weight^T + bias
void Apply(const Linear& linear, int rows, const float* in, float* out);

}  // namespace pinboard::engine
