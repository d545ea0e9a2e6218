// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What the machine can still give, asked before UCX is.
#pragma once

#include <cstddef>

#include "absl/status/status.h"

namespace pinboard::transport {

/// ResourceExhausted, with both figures, if `bytes` of shared memory exceed the memory available:
/// the least of MemAvailable, the control group's headroom and the limit on a file's size.
absl::Status CheckSharedMemory(std::size_t bytes);

}  // namespace pinboard::transport
