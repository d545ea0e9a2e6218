// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Reads rows of values of one size 16 bytes at a time where their alignment allows it.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "base/dtype.h"

namespace pinboard::kernels {

/// Values that one 16-byte access brings.
template <DType dtype>
inline constexpr int kValuesAtOnce = 16 / static_cast<int>(DTypeBytes(dtype));

/// True where every row of `width` values from `rows` on begins at a multiple of 16 bytes.
template <DType dtype>
__host__ __device__ bool RowsAreAligned(const void* rows, std::int64_t width) {
  return reinterpret_cast<std::uintptr_t>(rows) % 16 == 0 && width % kValuesAtOnce<dtype> == 0;
}

/// The values that 16 loaded bytes hold; of kF8E4M3 without their scale.
template <DType dtype>
__device__ void Unpack(const uint4& bytes, float (&values)[kValuesAtOnce<dtype>]) {
  const std::uint32_t words[4] = {bytes.x, bytes.y, bytes.z, bytes.w};
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    if constexpr (dtype == DType::kF32) {
      values[i] = __uint_as_float(words[i]);
    } else if constexpr (dtype == DType::kF8E4M3) {
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        values[4 * i + j] = E4M3ToFloat(static_cast<std::uint8_t>(words[i] >> (8 * j)));
      }
    } else if constexpr (dtype == DType::kF16) {
      values[2 * i] = Float16ToFloat(static_cast<std::uint16_t>(words[i]));
      values[2 * i + 1] = Float16ToFloat(static_cast<std::uint16_t>(words[i] >> 16U));
    } else {
      static_assert(dtype == DType::kBF16);
      values[2 * i] = __uint_as_float(words[i] << 16U);
      values[2 * i + 1] = __uint_as_float(words[i] & 0xffff0000U);
    }
  }
}

/// Bytes of values first ... first + kValuesAtOnce - 1 of a row of `width`, zeros beyond its end.
/// `first` is a multiple of kValuesAtOnce, and `aligned` what RowsAreAligned says.
template <DType dtype>
__device__ uint4 LoadBytes(const void* row, std::int64_t first, std::int64_t width, bool aligned) {
  if (first >= width) return make_uint4(0, 0, 0, 0);
  if (aligned) return __ldg(static_cast<const uint4*>(row) + first / kValuesAtOnce<dtype>);
  std::uint32_t words[4] = {};
#pragma unroll
  for (int i = 0; i < kValuesAtOnce<dtype>; ++i) {
    if (first + i >= width) break;
    if constexpr (dtype == DType::kF32) {
      words[i] = static_cast<const std::uint32_t*>(row)[first + i];
    } else if constexpr (DTypeBytes(dtype) == 1) {
      words[i / 4] |= std::uint32_t{static_cast<const std::uint8_t*>(row)[first + i]}
                      << (i % 4 * 8U);
    } else {
      words[i / 2] |= std::uint32_t{static_cast<const std::uint16_t*>(row)[first + i]}
                      << (i % 2 * 16U);
    }
  }
  return make_uint4(words[0], words[1], words[2], words[3]);
}

}  // namespace pinboard::kernels
