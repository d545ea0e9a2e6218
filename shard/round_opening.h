// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The plan of a sequence before its rows are chosen.
#pragma once

#include "absl/status/status.h"
#include "shard/context.h"
#include "shard/round_choice.h"
#include "shard/round_rows.h"

namespace pinboard {

/// Counts the rows of its layers; where nothing is gained its plan stays empty. Layers that lose
/// nothing, and those whose KV heads keep rows apart, are planned; the others join `rows`.
absl::Status OpenPlan(const ShardContext& context, const SequenceToChoose& sequence,
                      RoundRows* rows);

}  // namespace pinboard
