// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The sequences of an engine and the cache blocks they own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/block_allocator.h"

namespace pinboard::engine {

/// A block table and the physical rows that lie in it.
struct RowTable {
  std::vector<std::int32_t> blocks;
  int rows = 0;
};

/// Logical length (positions) and physical length (rows) part company at the first compaction.
struct SequenceState {
  std::vector<RowTable> tables;  // one for all layers, or one for each
  int length = 0;
  bool swapped_out = false;
  bool in_round = false;           // between BeginRound and CommitRound
  std::vector<std::byte> swapped;  // its rows while it is swapped out, when it owns no block
};

/// Owns every block of every sequence. Thread-compatible.
class SequenceTable {
 public:
  /// `tables`: block tables of each sequence, all of which take their blocks from one pool.
  SequenceTable(int blocks, int block_size, int tables)
      : allocator_(blocks), block_size_(block_size), tables_(tables) {}

  /// AlreadyExists.
  absl::Status Add(std::uint64_t sequence);
  /// NotFound. The pointer is valid until the next Add or Remove.
  absl::StatusOr<SequenceState*> Find(std::uint64_t sequence);
  /// Null where the sequence is not known.
  const SequenceState* Peek(std::uint64_t sequence) const;
  /// Frees the sequence's blocks. NotFound.
  absl::Status Remove(std::uint64_t sequence);

  /// Blocks that `tokens` more rows in every table need beyond those the sequence has.
  int MissingBlocks(const SequenceState& state, int tokens) const;
  /// Appends blocks for `tokens` more rows in every table. ResourceExhausted: nothing was changed.
  absl::Status Grow(SequenceState* state, int tokens);
  /// Keeps the first `blocks` blocks of the table and frees the others.
  absl::Status Truncate(RowTable* table, int blocks);
  /// Frees all blocks; the row counts stay.
  absl::Status Release(SequenceState* state);
  int BlocksFor(int rows) const { return (rows + block_size_ - 1) / block_size_; }

  bool empty() const { return sequences_.empty(); }
  int free_blocks() const { return allocator_.free(); }
  int total_blocks() const { return allocator_.total(); }

 private:
  int MissingBlocks(const RowTable& table, int tokens) const;

  BlockAllocator allocator_;
  int block_size_;
  int tables_;
  absl::flat_hash_map<std::uint64_t, SequenceState> sequences_;
};

}  // namespace pinboard::engine
