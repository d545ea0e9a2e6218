// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Reads values of a cache's rows as floats, in every format that rows have.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#include "base/dtype.h"
#include "base/host_device.h"
#include "pinboard/kv_layout.h"

namespace pinboard::kernels {

/// What the values of one head stand for, beside their bytes.
struct HeadFormat {
  float scale = 1.0F;  // kF8E4M3: of each value
  int latent = 0;      // kF8DsMla: values before the rotary part
};

/// Of head `head` of `plane`.
PB_HOST_DEVICE inline HeadFormat FormatOf(const KvShape& shape, const KvPlane& plane, int head) {
  const bool has_scale = shape.dtype == DType::kF8E4M3 && plane.scales != nullptr;
  return {has_scale ? plane.scales[head] : 1.0F, shape.value_dim};
}

template <typename T>
PB_HOST_DEVICE inline T ReadAs(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof(value));
  return value;
}

/// Value `index` of the head whose values begin at `values`: exact, but for what is rounded by
/// definition (pinboard/kv_layout.h) and kF8E4M3, whose product with the scale is rounded to float.
template <DType dtype>
PB_HOST_DEVICE inline float ReadValue(const std::byte* values, std::int64_t index,
                                      HeadFormat format) {
  if constexpr (dtype == DType::kF32) {
    return ReadAs<float>(values + index * 4);
  } else if constexpr (dtype == DType::kBF16) {
    return BFloat16ToFloat(ReadAs<std::uint16_t>(values + index * 2));
  } else if constexpr (dtype == DType::kF16) {
    return Float16ToFloat(ReadAs<std::uint16_t>(values + index * 2));
  } else if constexpr (dtype == DType::kF8E4M3) {
    return E4M3ToFloat(ReadAs<std::uint8_t>(values + index)) * format.scale;
  } else {
    static_assert(dtype == DType::kF8DsMla);
    const std::byte* const scales = values + format.latent;
    const int tiles = format.latent / kLatentTile;
    if (index >= format.latent) {
      const std::byte* const rotary = scales + tiles * sizeof(float);
      return BFloat16ToFloat(ReadAs<std::uint16_t>(rotary + (index - format.latent) * 2));
    }
    const auto scale = ReadAs<float>(scales + index / kLatentTile * sizeof(float));
    const float value = E4M3ToFloat(ReadAs<std::uint8_t>(values + index)) * scale;
    return BFloat16ToFloat(FloatToBFloat16(value));
  }
}

template <DType dtype>
using DTypeConstant = std::integral_constant<DType, dtype>;

/// visit(DTypeConstant<dtype>{}).
template <typename Visit>
decltype(auto) WithDType(DType dtype, Visit&& visit) {
  switch (dtype) {
    case DType::kF32:
      return std::forward<Visit>(visit)(DTypeConstant<DType::kF32>{});
    case DType::kBF16:
      return std::forward<Visit>(visit)(DTypeConstant<DType::kBF16>{});
    case DType::kF16:
      return std::forward<Visit>(visit)(DTypeConstant<DType::kF16>{});
    case DType::kF8E4M3:
      return std::forward<Visit>(visit)(DTypeConstant<DType::kF8E4M3>{});
    case DType::kF8DsMla:
      break;
  }
  return std::forward<Visit>(visit)(DTypeConstant<DType::kF8DsMla>{});
}

}  // namespace pinboard::kernels
