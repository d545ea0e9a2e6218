// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "shard/sequence_state.h"

#include "absl/strings/str_cat.h"

namespace pinboard {

absl::StatusOr<SequenceState> Prefix(const SequenceState& state, int tokens) {
  if (tokens == state.length) return state;
  if (tokens < 0 || tokens > state.length || state.merged_length > 0) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the first ", tokens, " tokens of a sequence of ", state.length, " tokens, of which ",
        state.merged_length,
        " went through a round: take all of them, or fewer of one that was never compacted"));
  }
  SequenceState prefix = state;
  prefix.length = tokens;
  prefix.length_at_round = 0;
  prefix.entropy_after.resize(static_cast<std::size_t>(tokens) + 1);
  for (LayerState& layer : prefix.layers) {
    layer.positions.resize(tokens);
    layer.information.resize(tokens);
    layer.pending_shift.resize(tokens);
    layer.queries.DropFrom(tokens);
    layer.log_sum_exps.DropFrom(tokens);
  }
  return prefix;
}

}  // namespace pinboard
