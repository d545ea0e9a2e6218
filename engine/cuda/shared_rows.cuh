// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Rows of bf16 values on their way from device memory to the tensor core.
#pragma once

#include <cuda_bf16.h>
#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

#include "base/cuda/tensor_core.cuh"

namespace pinboard::engine {

__device__ inline std::uint32_t PackBFloat16(float low, float high) {
  const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
  return *reinterpret_cast<const std::uint32_t*>(&pair);
}

/// Begins to copy values first ... first + 7 of a row of `dim` to 16 bytes of shared memory, zeros
/// beyond its end and where `row` is null. `aligned`: every row begins at a multiple of 16 bytes
/// and has a multiple of 8 values; others are copied value by value.
__device__ inline void BeginEightValues(std::byte* shared, const std::byte* row, int first, int dim,
                                        bool aligned) {
  if (aligned) {
    const uint4* const from =
        row == nullptr || first >= dim ? nullptr : reinterpret_cast<const uint4*>(row + first * 2);
    cuda::BeginCopy(reinterpret_cast<uint4*>(shared), from, make_uint4(0, 0, 0, 0));
    return;
  }
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    const bool here = row != nullptr && first + i < dim;
    reinterpret_cast<std::uint16_t*>(shared)[i] =
        here ? reinterpret_cast<const std::uint16_t*>(row)[first + i] : std::uint16_t{0};
  }
}

}  // namespace pinboard::engine
