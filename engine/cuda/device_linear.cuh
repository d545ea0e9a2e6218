// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Linear layers as products (engine/blas.h, Apply).
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "engine/cuda/device_weights.cuh"
#include "engine/cuda/product.cuh"

namespace pinboard::engine {

/// out [rows, linear.out] = in [rows, linear.in] weight^T, or with `accumulate` that added to it. A
/// bias is left to who reads the result.
inline absl::Status Apply(Products* products, const DeviceLinear& linear, int rows,
                          const std::uint16_t* in, float* out, bool accumulate = false) {
  return products->Multiply({.rows = rows,
                             .columns = linear.out,
                             .inner = linear.in,
                             .accumulate = accumulate,
                             .in_stride = linear.in,
                             .weight_stride = linear.in,
                             .out_stride = linear.out},
                            in, linear.weight.data(), out);
}

}  // namespace pinboard::engine
