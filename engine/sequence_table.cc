// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "engine/sequence_table.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace pinboard::engine {

absl::Status SequenceTable::Add(std::uint64_t sequence) {
  const auto [added, is_new] = sequences_.try_emplace(sequence);
  if (is_new) {
    added->second.tables.resize(tables_);
    return absl::OkStatus();
  }
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
  PB_RETURN_IF_ERROR(Release(state));
  sequences_.erase(sequence);
  return absl::OkStatus();
}

int SequenceTable::MissingBlocks(const RowTable& table, int tokens) const {
  return std::max(0, BlocksFor(table.rows + tokens) - static_cast<int>(table.blocks.size()));
}

int SequenceTable::MissingBlocks(const SequenceState& state, int tokens) const {
  int missing = 0;
  for (const RowTable& table : state.tables) missing += MissingBlocks(table, tokens);
  return missing;
}

absl::Status SequenceTable::Grow(SequenceState* state, int tokens) {
  std::vector<std::int32_t> fresh;
  PB_RETURN_IF_ERROR(allocator_.Allocate(MissingBlocks(*state, tokens), &fresh));
  auto next = fresh.begin();
  for (RowTable& table : state->tables) {
    const auto end = next + MissingBlocks(table, tokens);
    table.blocks.insert(table.blocks.end(), next, end);
    next = end;
  }
  return absl::OkStatus();
}

absl::Status SequenceTable::Truncate(RowTable* table, int blocks) {
  if (blocks < 0 || blocks > static_cast<int>(table->blocks.size())) {
    return absl::InternalError(
        absl::StrCat("a table of ", table->blocks.size(), " blocks cannot be cut to ", blocks));
  }
  PB_RETURN_IF_ERROR(allocator_.Free(absl::MakeConstSpan(table->blocks).subspan(blocks)));
  table->blocks.resize(blocks);
  return absl::OkStatus();
}

absl::Status SequenceTable::Release(SequenceState* state) {
  for (RowTable& table : state->tables) PB_RETURN_IF_ERROR(Truncate(&table, 0));
  return absl::OkStatus();
}

}  // namespace pinboard::engine
