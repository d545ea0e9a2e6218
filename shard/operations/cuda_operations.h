// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The operations on a CUDA device.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "shard/operations/operations.h"

namespace pinboard {

/// On the current device and on `stream`, a cudaStream_t that outlives it and on which the engine
/// works too. Nothing waits but Finish. Results that decide are those of the host's operations bit
/// for bit where these start from integers; scores of attention and pages are within the bounds
/// that the launches in kernels/ state, and equal on every device. Memory of the host that is
/// registered with the device (a leased slab) is read and written where it is; other memory goes
/// through pinned copies. Unavailable: no device. Unimplemented: this build has no CUDA.
absl::StatusOr<std::unique_ptr<Operations>> MakeCudaOperations(void* stream);

}  // namespace pinboard
