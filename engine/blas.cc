// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "engine/blas.h"

#include <cblas.h>
#include <sched.h>

#include <algorithm>

namespace pinboard::engine {

void SetProductThreads(int ranks) {
  cpu_set_t allowed;
  const int cores = sched_getaffinity(0, sizeof(allowed), &allowed) == 0 ? CPU_COUNT(&allowed) : 1;
  openblas_set_num_threads(std::max(1, cores / ranks));
}

void Multiply(int m, int n, int k, ConstMatrix a, ConstMatrix b, Matrix c) {
  if (m == 1) {
    cblas_sgemv(CblasRowMajor, CblasTrans, k, n, 1.0F, b.data, b.stride, a.data, 1, 0.0F, c.data,
                1);
    return;
  }
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, m, n, k, 1.0F, a.data, a.stride, b.data,
              b.stride, 0.0F, c.data, c.stride);
}

void MultiplyTransposed(int m, int n, int k, float scale, ConstMatrix a, ConstMatrix b, Matrix c) {
  if (m == 1) {
    cblas_sgemv(CblasRowMajor, CblasNoTrans, n, k, scale, b.data, b.stride, a.data, 1, 0.0F, c.data,
                1);
    return;
  }
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, m, n, k, scale, a.data, a.stride, b.data,
              b.stride, 0.0F, c.data, c.stride);
}

void Apply(const Linear& linear, int rows, const float* in, float* out) {
  MultiplyTransposed(rows, linear.out, linear.in, 1.0F, {in, linear.in},
                     {linear.weight.data(), linear.in}, {out, linear.out});
  if (linear.bias.empty()) return;
  for (int row = 0; row < rows; ++row) {
    float* values = out + static_cast<std::size_t>(row) * linear.out;
    std::transform(values, values + linear.out, linear.bias.begin(), values, std::plus<>());
  }
}

}  // namespace pinboard::engine
