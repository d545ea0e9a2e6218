// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "engine/sequence_table.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_set.h"
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
  PB_RETURN_IF_ERROR(Unreserve(state));
  PB_RETURN_IF_ERROR(Truncate(state, 0));
  sequences_.erase(sequence);
  return absl::OkStatus();
}

absl::StatusOr<BlockCopies> SequenceTable::Share(const SequenceState& source, int rows,
                                                 int own_rows, SequenceState* target) {
  const auto blocks = absl::MakeConstSpan(source.blocks).first(BlocksFor(rows));
  const auto own = blocks.first(BlocksFor(own_rows));
  const auto shared = blocks.subspan(own.size());
  BlockCopies copies;
  PB_RETURN_IF_ERROR(allocator_.Allocate(static_cast<int>(own.size()), &copies.to));
  PB_RETURN_IF_ERROR(allocator_.Share(shared));
  copies.from.assign(own.begin(), own.end());
  target->blocks = copies.to;
  target->blocks.insert(target->blocks.end(), shared.begin(), shared.end());
  return copies;
}

bool SequenceTable::CopiesLastBlock(const SequenceState& state, int tokens) const {
  const auto last = static_cast<std::size_t>(state.rows / block_size_);
  return tokens > 0 && state.rows % block_size_ > 0 && last < state.blocks.size() &&
         IsShared(state.blocks[last]);
}

int SequenceTable::CountShared(const SequenceState& state, int begin, int end) const {
  const int last = std::min(end, static_cast<int>(state.blocks.size()));
  int shared = 0;
  for (int i = begin; i < last; ++i) shared += IsShared(state.blocks[i]) ? 1 : 0;
  return shared;
}

int SequenceTable::DestinationBlocks(const SequenceState& state, int tokens) const {
  return state.destination.empty() ? 0 : BlocksFor(state.rows + tokens - state.rows_leaving);
}

int SequenceTable::MissingBlocks(const SequenceState& state, int tokens) const {
  const int has = static_cast<int>(state.blocks.size());
  return std::max(0, BlocksFor(state.rows + tokens) - has) +
         (CopiesLastBlock(state, tokens) ? 1 : 0) +
         CountShared(state, static_cast<int>(state.destination.size()),
                     DestinationBlocks(state, tokens));
}

absl::StatusOr<BlockCopies> SequenceTable::Grow(SequenceState* state, int tokens) {
  PB_RETURN_IF_ERROR(allocator_.CheckFree(MissingBlocks(*state, tokens)));
  BlockCopies copies;
  if (CopiesLastBlock(*state, tokens)) {
    std::int32_t& last = state->blocks[state->rows / block_size_];
    PB_RETURN_IF_ERROR(allocator_.Allocate(1, &copies.to));
    copies.from = {last};
    PB_RETURN_IF_ERROR(allocator_.Free(copies.from));
    last = copies.to.front();
  }
  const int more = BlocksFor(state->rows + tokens) - static_cast<int>(state->blocks.size());
  PB_RETURN_IF_ERROR(allocator_.Allocate(std::max(0, more), &state->blocks));
  PB_RETURN_IF_ERROR(GrowDestination(state, DestinationBlocks(*state, tokens)));
  return copies;
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

absl::Status SequenceTable::GrowDestination(SequenceState* state, int blocks) {
  for (int i = static_cast<int>(state->destination.size()); i < blocks; ++i) {
    if (IsShared(state->blocks[i])) {
      PB_RETURN_IF_ERROR(allocator_.Allocate(1, &state->destination));
    } else {
      state->destination.push_back(state->blocks[i]);
    }
  }
  return absl::OkStatus();
}

absl::Status SequenceTable::Reserve(SequenceState* state, int planned_rows) {
  if (CountShared(*state, 0, static_cast<int>(state->blocks.size())) == 0) return absl::OkStatus();
  const int blocks = BlocksFor(planned_rows);
  PB_RETURN_IF_ERROR(allocator_.CheckFree(CountShared(*state, 0, blocks)));
  state->rows_leaving = state->rows - planned_rows;
  return GrowDestination(state, blocks);
}

std::vector<std::int32_t> SequenceTable::Reserved(const SequenceState& state) {
  std::vector<std::int32_t> reserved;
  for (std::size_t i = 0; i < state.destination.size(); ++i) {
    if (state.destination[i] != state.blocks[i]) reserved.push_back(state.destination[i]);
  }
  return reserved;
}

absl::Status SequenceTable::Settle(SequenceState* state, int blocks) {
  if (!state->destination.empty()) {
    if (blocks > static_cast<int>(state->destination.size())) {
      return absl::InternalError(absl::StrCat("a destination of ", state->destination.size(),
                                              " blocks cannot hold ", blocks));
    }
    for (int i = 0; i < blocks; ++i) std::swap(state->blocks[i], state->destination[i]);
    PB_RETURN_IF_ERROR(Unreserve(state));
  }
  return Truncate(state, blocks);
}

absl::Status SequenceTable::Unreserve(SequenceState* state) {
  const std::vector<std::int32_t> reserved = Reserved(*state);
  state->destination.clear();
  return allocator_.Free(reserved);
}

absl::Status SequenceTable::Census(absl::FunctionRef<int(std::uint64_t)> own_rows) const {
  std::vector<int> holders(total_blocks(), 0);
  for (const auto& [id, state] : sequences_) {
    if (!state.swapped_out && static_cast<int>(state.blocks.size()) < BlocksFor(state.rows)) {
      return absl::InternalError(absl::StrCat("census: sequence ", id, " has ", state.rows,
                                              " rows in ", state.blocks.size(), " blocks"));
    }
    absl::flat_hash_set<std::int32_t> seen;
    const std::vector<std::int32_t> reserved = Reserved(state);
    for (const auto* table : {&state.blocks, &reserved}) {
      for (const std::int32_t block : *table) {
        ++holders[block];
        if (seen.insert(block).second) continue;
        return absl::InternalError(
            absl::StrCat("census: block ", block, " stands twice in sequence ", id));
      }
    }
    if (CountShared(state, 0, BlocksFor(own_rows(id))) > 0) {
      return absl::InternalError(
          absl::StrCat("census: sequence ", id, " shares blocks that are written in place"));
    }
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
