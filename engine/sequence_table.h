// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The sequences of an engine and the cache blocks they own or share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "engine/block_allocator.h"
#include "pinboard/kv_layout.h"

namespace pinboard::engine {

/// A block table and the physical rows that lie in it.
struct RowTable {
  std::vector<std::int32_t> blocks;
  int rows = 0;

  // Between BeginRound and CommitRound, of a sequence that shares blocks; else empty: in place.
  /// Of the rows that will stay and of those appended since: entry i is blocks[i], or a block
  /// reserved since that one is shared.
  std::vector<std::int32_t> destination;
  int rows_leaving = 0;  // rows that the round takes away at least
};

/// Logical length (positions) and physical length (rows) part company at the first compaction.
struct SequenceState {
  std::vector<RowTable> tables;  // one for all layers, or one for each
  int length = 0;
  bool swapped_out = false;
  std::vector<std::byte> swapped;  // its rows while it is swapped out, when it owns no block
  bool in_round = false;           // between BeginRound and CommitRound
};

/// FailedPrecondition: the sequence is swapped out.
absl::Status CheckSwappedIn(std::uint64_t sequence, const SequenceState& state);
/// FailedPrecondition: it is in a round, or swapped out.
absl::Status CheckAtRest(std::uint64_t sequence, const SequenceState& state);

/// Contents to copy, of all layers that a block holds: from[i] -> to[i].
struct BlockCopies {
  std::vector<std::int32_t> from;
  std::vector<std::int32_t> to;
};

/// Holds every block of every sequence. A block stands in several tables where sequences share it;
/// nobody writes into one that does: whoever would gets a copy first. Thread-compatible.
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
  /// Lets go of the sequence's blocks, reserved ones too. NotFound.
  absl::Status Remove(std::uint64_t sequence);

  /// Gives `target`, whose rows are counted and have no blocks, those of the same rows of `source`:
  /// the first own_rows[i] of table i in blocks of its own, to be copied, the others shared.
  /// ResourceExhausted: nothing was changed.
  absl::StatusOr<BlockCopies> Share(const SequenceState& source, absl::Span<const int> own_rows,
                                    SequenceState* target);

  /// Free blocks that `tokens` more rows in every table take: beyond those the sequence has, for
  /// copies of shared last blocks, and for its destinations. At most: two that share a last block
  /// count a copy each, though the second to write owns it alone by then.
  int MissingBlocks(const SequenceState& state, int tokens) const;
  /// Makes room for `tokens` more rows in every table, which no other sequence sees.
  /// ResourceExhausted: nothing was changed.
  absl::StatusOr<BlockCopies> Grow(SequenceState* state, int tokens);
  /// Keeps the first `blocks` blocks of the table and lets go of the others.
  absl::Status Truncate(RowTable* table, int blocks);
  /// Lets go of all blocks, reserved ones too; the row counts stay.
  absl::Status Release(SequenceState* state);

  /// Reserves the destinations of a round that will leave at most planned_rows[i] of the rows of
  /// table i; none where the sequence shares no block. ResourceExhausted: nothing was changed.
  absl::Status Reserve(SequenceState* state, absl::Span<const int> planned_rows);
  /// Ends the round: the first blocks[i] of table i's destination, or of the table where there is
  /// none, become the table.
  absl::Status Settle(SequenceState* state, absl::Span<const int> blocks);
  /// Ends the round with the tables as they are.
  absl::Status Unreserve(SequenceState* state);

  /// Blocks that the destinations hold beside the tables.
  static int ReservedBlocks(const SequenceState& state);

  /// Internal, naming the first violation: every block has as many holders as tables and
  /// destinations name it, none stands in one sequence twice, the rows of every table are in its
  /// blocks, and the first `own_rows(sequence, table)` of them in blocks that nobody shares.
  absl::Status Census(absl::FunctionRef<int(std::uint64_t, int)> own_rows) const;

  int BlocksFor(int rows) const { return pinboard::BlocksFor(rows, block_size_); }
  bool empty() const { return sequences_.empty(); }
  int free_blocks() const { return allocator_.free(); }
  int total_blocks() const { return allocator_.total(); }
  /// Blocks with more than one holder.
  int shared_blocks() const;

 private:
  bool IsShared(std::int32_t block) const { return allocator_.holders(block) > 1; }
  bool CopiesLastBlock(const RowTable& table, int tokens) const;
  /// Of the table's blocks [begin, end).
  int CountShared(const RowTable& table, int begin, int end) const;
  bool SharesBlocks(const SequenceState& state) const;
  int MissingBlocks(const RowTable& table, int tokens) const;
  absl::Status Grow(RowTable* table, int tokens, BlockCopies* copies);
  /// Blocks of the destination with `tokens` more rows; 0: there is none.
  int DestinationBlocks(const RowTable& table, int tokens) const;
  absl::Status GrowDestination(RowTable* table, int blocks);
  absl::Status Settle(RowTable* table, int blocks);
  absl::Status Unreserve(RowTable* table);
  /// Census of one sequence, whose blocks it adds to `holders`.
  absl::Status CheckTables(std::uint64_t sequence, const SequenceState& state,
                           absl::FunctionRef<int(std::uint64_t, int)> own_rows,
                           std::vector<int>* holders) const;
  BlockAllocator allocator_;
  int block_size_;
  int tables_;
  absl::flat_hash_map<std::uint64_t, SequenceState> sequences_;
};

}  // namespace pinboard::engine
