// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Operations of a device that takes no time: what is left of a round is the host's part.
#pragma once

#include <memory>

#include "shard/operations/operations.h"

namespace pinboard::bench {

/// Of this thread's processor time.
double ThreadMs();

/// Signals are drawn, not computed; what moves or reads rows does nothing. `*inside_ms` grows by
/// the time that the calls take.
std::unique_ptr<Operations> MakeIdleOperations(double* inside_ms);

}  // namespace pinboard::bench
