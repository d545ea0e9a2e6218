// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "engine/sequence_table.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace pinboard::engine {
namespace {

/// Blocks that the destination holds beside the table.
std::vector<std::int32_t> Reserved(const RowTable& table) {
  std::vector<std::int32_t> reserved;
  for (std::size_t i = 0; i < table.destination.size(); ++i) {
    if (table.destination[i] != table.blocks[i]) reserved.push_back(table.destination[i]);
  }
  return reserved;
}

}  // namespace

absl::Status CheckSwappedIn(std::uint64_t sequence, const SequenceState& state) {
  if (!state.swapped_out) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("sequence ", sequence, " is swapped out: swap it in first"));
}

absl::Status CheckAtRest(std::uint64_t sequence, const SequenceState& state) {
  if (!state.in_round) return CheckSwappedIn(sequence, state);
  return absl::FailedPreconditionError(
      absl::StrCat("sequence ", sequence, " is in a round: commit it first"));
}

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

absl::StatusOr<BlockCopies> SequenceTable::Share(const SequenceState& source,
                                                 absl::Span<const int> own_rows,
                                                 SequenceState* target) {
  int own_blocks = 0;
  for (const int rows : own_rows) own_blocks += BlocksFor(rows);
  PB_RETURN_IF_ERROR(allocator_.CheckFree(own_blocks));
  BlockCopies copies;
  for (std::size_t i = 0; i < target->tables.size(); ++i) {
    RowTable& table = target->tables[i];
    const auto blocks = absl::MakeConstSpan(source.tables[i].blocks).first(BlocksFor(table.rows));
    const auto own = blocks.first(BlocksFor(own_rows[i]));
    const auto shared = blocks.subspan(own.size());
    PB_RETURN_IF_ERROR(allocator_.Share(shared));
    PB_RETURN_IF_ERROR(allocator_.Allocate(static_cast<int>(own.size()), &table.blocks));
    copies.from.insert(copies.from.end(), own.begin(), own.end());
    copies.to.insert(copies.to.end(), table.blocks.begin(), table.blocks.end());
    table.blocks.insert(table.blocks.end(), shared.begin(), shared.end());
  }
  return copies;
}

bool SequenceTable::CopiesLastBlock(const RowTable& table, int tokens) const {
  const auto last = static_cast<std::size_t>(table.rows / block_size_);
  return tokens > 0 && table.rows % block_size_ > 0 && last < table.blocks.size() &&
         IsShared(table.blocks[last]);
}

int SequenceTable::CountShared(const RowTable& table, int begin, int end) const {
  const int last = std::min(end, static_cast<int>(table.blocks.size()));
  int shared = 0;
  for (int i = begin; i < last; ++i) shared += IsShared(table.blocks[i]) ? 1 : 0;
  return shared;
}

bool SequenceTable::SharesBlocks(const SequenceState& state) const {
  return std::any_of(state.tables.begin(), state.tables.end(), [this](const RowTable& table) {
    return CountShared(table, 0, static_cast<int>(table.blocks.size())) > 0;
  });
}

int SequenceTable::DestinationBlocks(const RowTable& table, int tokens) const {
  return table.destination.empty() ? 0 : BlocksFor(table.rows + tokens - table.rows_leaving);
}

int SequenceTable::MissingBlocks(const RowTable& table, int tokens) const {
  const int has = static_cast<int>(table.blocks.size());
  return std::max(0, BlocksFor(table.rows + tokens) - has) +
         (CopiesLastBlock(table, tokens) ? 1 : 0) +
         CountShared(table, static_cast<int>(table.destination.size()),
                     DestinationBlocks(table, tokens));
}

int SequenceTable::MissingBlocks(const SequenceState& state, int tokens) const {
  int missing = 0;
  for (const RowTable& table : state.tables) missing += MissingBlocks(table, tokens);
  return missing;
}

absl::StatusOr<BlockCopies> SequenceTable::Grow(SequenceState* state, int tokens) {
  PB_RETURN_IF_ERROR(allocator_.CheckFree(MissingBlocks(*state, tokens)));
  BlockCopies copies;
  for (RowTable& table : state->tables) PB_RETURN_IF_ERROR(Grow(&table, tokens, &copies));
  return copies;
}

absl::Status SequenceTable::Grow(RowTable* table, int tokens, BlockCopies* copies) {
  if (CopiesLastBlock(*table, tokens)) {
    std::int32_t& last = table->blocks[table->rows / block_size_];
    PB_RETURN_IF_ERROR(allocator_.Allocate(1, &copies->to));
    copies->from.push_back(last);
    PB_RETURN_IF_ERROR(allocator_.Free({last}));
    last = copies->to.back();
  }
  const int more = BlocksFor(table->rows + tokens) - static_cast<int>(table->blocks.size());
  PB_RETURN_IF_ERROR(allocator_.Allocate(std::max(0, more), &table->blocks));
  return GrowDestination(table, DestinationBlocks(*table, tokens));
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
  PB_RETURN_IF_ERROR(Unreserve(state));
  for (RowTable& table : state->tables) PB_RETURN_IF_ERROR(Truncate(&table, 0));
  return absl::OkStatus();
}

absl::Status SequenceTable::GrowDestination(RowTable* table, int blocks) {
  for (int i = static_cast<int>(table->destination.size()); i < blocks; ++i) {
    if (IsShared(table->blocks[i])) {
      PB_RETURN_IF_ERROR(allocator_.Allocate(1, &table->destination));
    } else {
      table->destination.push_back(table->blocks[i]);
    }
  }
  return absl::OkStatus();
}

absl::Status SequenceTable::Reserve(SequenceState* state, absl::Span<const int> planned_rows) {
  if (!SharesBlocks(*state)) return absl::OkStatus();
  int needed = 0;
  for (std::size_t i = 0; i < planned_rows.size(); ++i) {
    needed += CountShared(state->tables[i], 0, BlocksFor(planned_rows[i]));
  }
  PB_RETURN_IF_ERROR(allocator_.CheckFree(needed));
  for (std::size_t i = 0; i < planned_rows.size(); ++i) {
    RowTable& table = state->tables[i];
    table.rows_leaving = table.rows - planned_rows[i];
    PB_RETURN_IF_ERROR(GrowDestination(&table, BlocksFor(planned_rows[i])));
  }
  return absl::OkStatus();
}

int SequenceTable::ReservedBlocks(const SequenceState& state) {
  int reserved = 0;
  for (const RowTable& table : state.tables) reserved += static_cast<int>(Reserved(table).size());
  return reserved;
}

absl::Status SequenceTable::Settle(SequenceState* state, absl::Span<const int> blocks) {
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    PB_RETURN_IF_ERROR(Settle(&state->tables[i], blocks[i]));
  }
  return absl::OkStatus();
}

absl::Status SequenceTable::Settle(RowTable* table, int blocks) {
  if (!table->destination.empty()) {
    if (blocks > static_cast<int>(table->destination.size())) {
      return absl::InternalError(absl::StrCat("a destination of ", table->destination.size(),
                                              " blocks cannot hold ", blocks));
    }
    for (int i = 0; i < blocks; ++i) std::swap(table->blocks[i], table->destination[i]);
    PB_RETURN_IF_ERROR(Unreserve(table));
  }
  return Truncate(table, blocks);
}

absl::Status SequenceTable::Unreserve(SequenceState* state) {
  for (RowTable& table : state->tables) PB_RETURN_IF_ERROR(Unreserve(&table));
  return absl::OkStatus();
}

absl::Status SequenceTable::Unreserve(RowTable* table) {
  const std::vector<std::int32_t> reserved = Reserved(*table);
  table->destination.clear();
  return allocator_.Free(reserved);
}

absl::Status SequenceTable::CheckTables(std::uint64_t sequence, const SequenceState& state,
                                        absl::FunctionRef<int(std::uint64_t, int)> own_rows,
                                        std::vector<int>* holders) const {
  absl::flat_hash_set<std::int32_t> seen;
  for (std::size_t i = 0; i < state.tables.size(); ++i) {
    const RowTable& table = state.tables[i];
    if (!state.swapped_out && static_cast<int>(table.blocks.size()) < BlocksFor(table.rows)) {
      return absl::InternalError(absl::StrCat("census: sequence ", sequence, " has ", table.rows,
                                              " rows in ", table.blocks.size(), " blocks"));
    }
    const std::vector<std::int32_t> reserved = Reserved(table);
    for (const auto* blocks : {&table.blocks, &reserved}) {
      for (const std::int32_t block : *blocks) {
        ++(*holders)[block];
        if (seen.insert(block).second) continue;
        return absl::InternalError(
            absl::StrCat("census: block ", block, " stands twice in sequence ", sequence));
      }
    }
    if (CountShared(table, 0, BlocksFor(own_rows(sequence, static_cast<int>(i)))) > 0) {
      return absl::InternalError(
          absl::StrCat("census: sequence ", sequence, " shares blocks that are written in place"));
    }
  }
  return absl::OkStatus();
}

absl::Status SequenceTable::Census(absl::FunctionRef<int(std::uint64_t, int)> own_rows) const {
  std::vector<int> holders(total_blocks(), 0);
  for (const auto& [id, state] : sequences_) {
    PB_RETURN_IF_ERROR(CheckTables(id, state, own_rows, &holders));
  }
  for (int block = 0; block < total_blocks(); ++block) {
    if (holders[block] == allocator_.holders(block)) continue;
    return absl::InternalError(absl::StrCat("census: block ", block, " has ", holders[block],
                                            " holders and ", allocator_.holders(block),
                                            " are counted"));
  }
  const auto free = std::count(holders.begin(), holders.end(), 0);
  if (free == free_blocks()) return absl::OkStatus();
  return absl::InternalError(
      absl::StrCat("census: ", free_blocks(), " blocks are free, ", free, " have no holder"));
}

int SequenceTable::shared_blocks() const {
  int shared = 0;
  for (int block = 0; block < total_blocks(); ++block) shared += IsShared(block) ? 1 : 0;
  return shared;
}

}  // namespace pinboard::engine
