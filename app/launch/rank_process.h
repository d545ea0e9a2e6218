// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What happens in a rank's process.
#pragma once

#include "app/launch/rank_environment.h"
#include "app/launch/rank_group.h"

namespace pinboard::app {

/// Connects the rank, runs the body, reports its error to the supervisor; returns the exit code.
int RunRank(const RankEnvironment& environment, const GroupOptions& options, const RankBody& body);

}  // namespace pinboard::app
