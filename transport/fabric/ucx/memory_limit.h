// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What the machine can still give, asked before UCX is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/status.h"

namespace pinboard::transport {

/// ResourceExhausted, with both figures, if `bytes` of shared memory exceed the memory available:
/// the least of MemAvailable, the control groups' headroom and the limit on a file's size.
absl::Status CheckSharedMemory(std::size_t bytes);

/// What a process may still take of memory in bytes, by the limits of its control group (version 2)
/// and of those around it; 2^64 - 1: there are none. `membership` is its /proc/self/cgroup, `root`
/// where control groups are mounted.
std::uint64_t ControlGroupHeadroom(const std::string& membership, const std::string& root);

}  // namespace pinboard::transport
