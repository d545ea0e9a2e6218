// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Pages on their way into device memory.
#pragma once

#include <memory>

#include "shard/operations/page_intake.h"

namespace pinboard {

/// Into memory of the current device, on a stream of its own: one launch for all pages of a call,
/// which reads those in registered memory (a mapped segment of the service) where they lie; others
/// go through pinned memory. A copy may outlive the intake.
std::unique_ptr<PageIntake> MakeCudaPageIntake(std::size_t page_bytes);

}  // namespace pinboard
