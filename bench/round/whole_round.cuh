// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Rounds as their caller waits for them: from BeginRound to the end of CommitRound, host and
// device.
#pragma once

#include "bench/device_report.cuh"

namespace pinboard::bench {

/// Prompts one after another, then rounds of all sequences.
void AddWholeRounds(Report& report, int sequences);

}  // namespace pinboard::bench
