// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Memory that will be needed soon, brought closer.
#pragma once

#include <cstddef>

namespace pinboard {

/// For a loop that touches memory far apart: the lines of the object that it comes to some turns
/// later. Changes nothing.
inline void PrefetchBytes(const void* first, std::size_t bytes) {
  constexpr std::size_t kLine = 64;
  const auto* const from = static_cast<const char*>(first);
  for (std::size_t at = 0; at < bytes; at += kLine) __builtin_prefetch(from + at, 1);
}
template <typename T>
void Prefetch(const T& object) {
  PrefetchBytes(&object, sizeof(T));
}

}  // namespace pinboard
