// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Reads keys of the cache's element types as floats: exact.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/dtype.h"
#include "base/host_device.h"

namespace pinboard::kernels {

template <DType dtype>
PB_HOST_DEVICE inline float ReadValue(const std::byte* values, std::int64_t index) {
  static_assert(dtype == DType::kF32 || dtype == DType::kBF16);
  if constexpr (dtype == DType::kF32) {
    float value;
    std::memcpy(&value, values + index * 4, sizeof(value));
    return value;
  } else {
    std::uint16_t bits;
    std::memcpy(&bits, values + index * 2, sizeof(bits));
    return BFloat16ToFloat(bits);
  }
}

/// Unimplemented for element types whose values no operation reads yet.
inline absl::Status CheckReadable(absl::string_view operation, DType dtype) {
  if (dtype == DType::kF32 || dtype == DType::kBF16) return absl::OkStatus();
  return absl::UnimplementedError(
      absl::StrCat(operation, ": f16 keys are not supported: use a bf16 or f32 cache"));
}

}  // namespace pinboard::kernels
