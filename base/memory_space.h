// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Where bytes lie that a rank's operations work on: the host's memory, or a device's.
#pragma once

#include <cstddef>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace pinboard {

/// Hands out memory that all operations of one rank can reach. Thread-compatible; outlives what it
/// hands out.
class MemorySpace {
 public:
  virtual ~MemorySpace() = default;

  /// At least one byte, not initialised; freed with the last owner, in order with the work that was
  /// enqueued on it. ResourceExhausted: there is no more.
  virtual absl::StatusOr<std::shared_ptr<std::byte>> Allocate(std::size_t bytes) = 0;
  /// Within the space, in order with the work on it; the two do not overlap.
  virtual absl::Status Copy(std::byte* to, const std::byte* from, std::size_t bytes) = 0;
};

/// The host's own.
MemorySpace* HostMemory();

}  // namespace pinboard
