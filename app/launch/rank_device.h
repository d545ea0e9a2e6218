// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The CUDA device that a rank works on.
#pragma once

#include "absl/status/statusor.h"
#include "base/memory_registration.h"

namespace pinboard::app {

/// Makes device `rank` modulo the number of devices the current one; returns what makes host memory
/// accessible to it, from any thread. Unavailable: no device. Unimplemented: this build has no
/// CUDA.
absl::StatusOr<MemoryRegistrar> ChooseDevice(int rank);

}  // namespace pinboard::app
