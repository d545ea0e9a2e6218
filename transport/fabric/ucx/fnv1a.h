// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A checksum for the few hundred bytes of a rendezvous.
#pragma once

#include <cstddef>
#include <cstdint>

#include "absl/types/span.h"

namespace pinboard::transport {

/// 64-bit FNV-1a: finds accidents, not forgery.
inline std::uint64_t Fnv1a(absl::Span<const std::byte> bytes) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (const std::byte byte : bytes) {
    hash = (hash ^ std::to_integer<std::uint64_t>(byte)) * 0x100000001b3ULL;
  }
  return hash;
}

}  // namespace pinboard::transport
