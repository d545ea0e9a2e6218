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
#include "engine/block_allocator.h"

namespace pinboard::engine {

/// Logical length (positions) and physical length (rows) part company at the first compaction.
struct SequenceState {
  std::vector<std::int32_t> blocks;  // the block table
  int rows = 0;
  int length = 0;
  bool swapped_out = false;
  std::vector<std::byte> swapped;  // its rows while it is swapped out, when it owns no block

  // Between BeginRound and CommitRound.
  bool in_round = false;
  /// Of the rows that will stay and of those appended since, where a block is shared: entry i is
  /// blocks[i], or a block reserved since that one is shared. Empty: in place.
  std::vector<std::int32_t> destination;
  int rows_leaving = 0;  // rows that the round takes away, where there is a destination
};

/// Contents to copy in every layer: from[i] -> to[i].
struct BlockCopies {
  std::vector<std::int32_t> from;
  std::vector<std::int32_t> to;
};

/// Holds every block of every sequence. A block stands in several tables where sequences share it;
/// nobody writes into one that does: whoever would gets a copy first. Thread-compatible.
class SequenceTable {
 public:
  SequenceTable(int blocks, int block_size) : allocator_(blocks), block_size_(block_size) {}

  /// AlreadyExists.
  absl::Status Add(std::uint64_t sequence);
  /// NotFound. The pointer is valid until the next Add or Remove.
  absl::StatusOr<SequenceState*> Find(std::uint64_t sequence);
  /// Null where the sequence is not known.
  const SequenceState* Peek(std::uint64_t sequence) const;
  /// Lets go of the sequence's blocks, reserved ones too. NotFound.
  absl::Status Remove(std::uint64_t sequence);

  /// Gives `target`, which has no blocks, those of `source`'s first `rows` rows: the first
  /// `own_rows` of them in blocks of its own, to be copied, the others shared. ResourceExhausted:
  /// nothing was changed.
  absl::StatusOr<BlockCopies> Share(const SequenceState& source, int rows, int own_rows,
                                    SequenceState* target);

  /// Free blocks that `tokens` more rows of the sequence take: beyond those it has, for a copy of a
  /// shared last block, and for its destination. At most: two that share a last block count a copy
  /// each, though the second to write owns it alone by then.
  int MissingBlocks(const SequenceState& state, int tokens) const;
  /// Makes room for `tokens` more rows, which no other sequence sees. ResourceExhausted: nothing
  /// was changed.
  absl::StatusOr<BlockCopies> Grow(SequenceState* state, int tokens);
  /// Keeps the first `blocks` blocks of the table and lets go of the others.
  absl::Status Truncate(SequenceState* state, int blocks);

  /// Reserves the destination of a round that will leave `planned_rows` of the rows; none where the
  /// sequence shares no block. ResourceExhausted: nothing was changed.
  absl::Status Reserve(SequenceState* state, int planned_rows);
  /// Ends the round: the first `blocks` of the destination, or of the table where there is none,
  /// become the table.
  absl::Status Settle(SequenceState* state, int blocks);
  /// Ends the round with the table as it is.
  absl::Status Unreserve(SequenceState* state);

  /// Blocks that the destination holds beside the table.
  static std::vector<std::int32_t> Reserved(const SequenceState& state);

  /// Internal, naming the first violation: every block has as many holders as tables and
  /// destinations name it, none stands in one table twice, the rows of every sequence are in its
  /// table, and the first `own_rows(sequence)` of them in blocks that nobody shares.
  absl::Status Census(absl::FunctionRef<int(std::uint64_t)> own_rows) const;

  int BlocksFor(int rows) const { return (rows + block_size_ - 1) / block_size_; }
  bool empty() const { return sequences_.empty(); }
  int free_blocks() const { return allocator_.free(); }
  int total_blocks() const { return allocator_.total(); }
  /// Blocks with more than one holder.
  int shared_blocks() const;

 private:
  bool IsShared(std::int32_t block) const { return allocator_.holders(block) > 1; }
  bool CopiesLastBlock(const SequenceState& state, int tokens) const;
  /// Of the table's blocks [begin, end).
  int CountShared(const SequenceState& state, int begin, int end) const;
  /// Blocks of the destination with `tokens` more rows; 0: there is none.
  int DestinationBlocks(const SequenceState& state, int tokens) const;
  absl::Status GrowDestination(SequenceState* state, int blocks);

  BlockAllocator allocator_;
  int block_size_;
  absl::flat_hash_map<std::uint64_t, SequenceState> sequences_;
};

}  // namespace pinboard::engine
