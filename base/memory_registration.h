// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Host memory that a device was told of, for those who map memory and know no device.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace pinboard {

/// While it lives, a device may access the memory. Ends before the memory is unmapped.
class MemoryRegistration {
 public:
  virtual ~MemoryRegistration() = default;
};

/// Registers memory with whatever device the maker chose.
using MemoryRegistrar =
    std::function<absl::StatusOr<std::unique_ptr<MemoryRegistration>>(absl::Span<std::byte>)>;

}  // namespace pinboard
