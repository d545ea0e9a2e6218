// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Compact (compact.h) for many layers and sequences at once, on the device and in place.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "pinboard/kv_layout.h"

namespace pinboard::kernels {

/// One layer of one sequence: CompactArgs' moves, with the same promises (sources are distinct and
/// ascend behind the head, targets lie behind the head, all rows are in the tables, the destination
/// leaves the head's blocks where they are). Pointers: device memory.
struct CompactProblem {
  KvLayerView cache;
  const std::int32_t* block_table = nullptr;
  const std::int32_t* source_rows = nullptr;  // [count]
  std::int32_t count = 0;
  std::int32_t first_row = 0;
  std::int32_t head_rows = 0;
  const std::int32_t* destination_table = nullptr;  // null: block_table
};

/// No problem writes a row that another one reads or writes: where sequences share a block, the
/// destination of each that is compacted replaces it.
struct CompactBatch {
  const CompactProblem* problems = nullptr;  // [count], device memory
  int count = 0;
  std::int32_t longest = 0;  // moves of the problem with most
  KvShape shape;
  int block_size = 0;
};

/// Bytes of device memory, 8-byte aligned, that LaunchCompact works in: one word a move,
/// and six a problem.
std::size_t CompactWorkspaceBytes(int problems, std::int32_t longest);

/// The bytes that Compact leaves in the targets; other rows behind the head may be garbage, as
/// there. Stream-ordered; allocates nothing, never synchronises, can be captured in a graph. Each
/// row is read once and written once, held in between by a multiprocessor: from sm_90 in shared
/// memory, before in registers (movers.cuh).
///
/// Why no row is overwritten before it is read, and why none waits for ever ("block" below: or
/// warp, which takes tickets from sm_90 on):
///  - Each target that is also a source of this batch is marked as pending first. Blocks take
///    tickets; a ticket reads a few rows, clears the marks of these sources, then waits until none
///    of its targets is pending, then writes. So a source is read before it is written, whatever
///    the order of blocks.
///  - Tickets go to rows that move right (source < target), the last first; then to those that move
///    left, the first first; then to the head's. The target of move i is the source of move j only
///    if source_j = target_i. If j moves right, source_j < target_j, so target_i < target_j and
///    i < j, and i moves right or comes from the head: j has the same or an earlier ticket. If j
///    moves left, likewise. A block draws its next ticket before it has written the one at hand, so
///    reads wait for that one, which is earlier. Of all tickets that were not read yet, the
///    earliest can thus go on: every wait ends. Tickets of a pass before its first move and behind
///    its last are left out.
/// InvalidArgument: impossible sizes. Unimplemented: a head's keys or values are not a multiple of
/// 16 bytes, or a row has more than 32 KiB.
absl::Status LaunchCompact(const CompactBatch& batch, void* workspace, cudaStream_t stream);

}  // namespace pinboard::kernels
