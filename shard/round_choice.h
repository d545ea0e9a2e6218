// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What a round decides, from signals that all ranks share: which rows are kept, which become pages.
#pragma once

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "shard/context.h"
#include "shard/round_plan.h"
#include "shard/round_signals.h"

namespace pinboard {

/// A sequence whose rows are chosen.
struct SequenceToChoose {
  const SequenceState* state = nullptr;
  absl::Span<const LayerSignals> signals;  // [layers]
  SequencePlan* plan = nullptr;            // its layers are written; empty where nothing is gained
};

/// Scores and selects the rows of all layers of all sequences, in two selections: what is kept, and
/// then, of the rows that are in no page, what becomes borderline. The same on every rank and every
/// kind of operations, bit for bit. Errors: those of the operations.
absl::Status ChooseRows(const ShardContext& context, absl::Span<const SequenceToChoose> sequences);

}  // namespace pinboard
