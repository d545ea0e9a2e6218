// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The bytes of an array.
#pragma once

#include <cstddef>
#include <type_traits>

#include "absl/types/span.h"

namespace pinboard {

/// The same memory; of const elements, const bytes.
template <typename T>
auto AsBytes(absl::Span<T> values) {
  static_assert(std::is_trivially_copyable_v<T>);
  using Byte = std::conditional_t<std::is_const_v<T>, const std::byte, std::byte>;
  return absl::Span<Byte>(reinterpret_cast<Byte*>(values.data()), values.size() * sizeof(T));
}

}  // namespace pinboard
