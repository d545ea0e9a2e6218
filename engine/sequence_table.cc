// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "engine/sequence_table.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace pinboard::engine {

absl::Status SequenceTable::Add(std::uint64_t sequence) {
  if (sequences_.try_emplace(sequence).second) return absl::OkStatus();
  return absl::AlreadyExistsError(absl::StrCat("sequence ", sequence, " exists already"));
}

absl::StatusOr<SequenceState*> SequenceTable::Find(std::uint64_t sequence) {
  const auto found = sequences_.find(sequence);
  if (found != sequences_.end()) return &found->second;
  return absl::NotFoundError(absl::StrCat("sequence ", sequence, " does not exist: add it first"));
}

const SequenceState* SequenceTable::Peek(std::uint64_t sequence) const {
  const auto found = sequences_.find(sequence);
  return found == sequences_.end() ? nullptr : &found->second;
}

absl::Status SequenceTable::Remove(std::uint64_t sequence) {
  PB_ASSIGN_OR_RETURN(SequenceState * state, Find(sequence));
  PB_RETURN_IF_ERROR(Truncate(state, 0));
  sequences_.erase(sequence);
  return absl::OkStatus();
}

int SequenceTable::MissingBlocks(const SequenceState& state, int tokens) const {
  return std::max(0, BlocksFor(state.rows + tokens) - static_cast<int>(state.blocks.size()));
}

absl::Status SequenceTable::Grow(SequenceState* state, int tokens) {
  return allocator_.Allocate(MissingBlocks(*state, tokens), &state->blocks);
}

absl::Status SequenceTable::Truncate(SequenceState* state, int blocks) {
  if (blocks < 0 || blocks > static_cast<int>(state->blocks.size())) {
    return absl::InternalError(
        absl::StrCat("a table of ", state->blocks.size(), " blocks cannot be cut to ", blocks));
  }
  PB_RETURN_IF_ERROR(allocator_.Free(absl::MakeConstSpan(state->blocks).subspan(blocks)));
  state->blocks.resize(blocks);
  return absl::OkStatus();
}

}  // namespace pinboard::engine
