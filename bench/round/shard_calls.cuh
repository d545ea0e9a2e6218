// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The same work as a shard asks for it: from the first call of Operations until Finish has
// returned, in the host's time.
#pragma once

#include "bench/device_report.cuh"

namespace pinboard::bench {

/// A decode step's recall: digests scored, pages shown.
void AddShardStep(Report& report, int sequences, double churn);
/// A decode round's attention, new pages and compaction.
void AddShardRound(Report& report, int sequences);

}  // namespace pinboard::bench
