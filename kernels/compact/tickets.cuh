// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The order in which moves are made: tickets, and the marks that hold writes back.
#pragma once

#include <cstdint>
#include <cuda/atomic>

#include "kernels/compact/compact_cuda.cuh"
#include "kernels/row_words.cuh"

namespace pinboard::kernels::compact {

using Mark = std::uint32_t;  // 1: the row at this target is a source that was not read yet

__device__ inline const std::int32_t* DestinationTable(const CompactProblem& problem) {
  return problem.destination_table == nullptr ? problem.block_table : problem.destination_table;
}

/// Where its row lies already, a move writes nothing.
__device__ inline bool IsThere(const CompactProblem& problem, int block_size, std::int32_t source,
                               std::int32_t target) {
  if (source != target) return false;
  const std::int32_t block = target / block_size;
  return DestinationTable(problem)[block] == problem.block_table[block];
}

/// The three passes in the order of tickets; a move belongs to one or, where it stays, to none.
enum class Pass : std::uint8_t { kRight, kLeft, kHead, kNone };
inline constexpr int kPasses = 3;

__device__ inline Pass PassOf(const CompactProblem& problem, int block_size, std::int32_t move) {
  const std::int32_t source = problem.source_rows[move];
  const std::int32_t target = problem.first_row + move;
  if (source < problem.head_rows) return Pass::kHead;
  if (source < target) return Pass::kRight;
  return IsThere(problem, block_size, source, target) ? Pass::kNone : Pass::kLeft;
}

/// How the moves of a problem are cut into chunks, one for each ticket of a pass.
struct Chunks {
  std::int32_t rows;   // of one
  std::int32_t count;  // of a problem

  /// When a chunk has its turn in a pass, or the reverse.
  __device__ std::int32_t Turn(Pass pass, std::int32_t chunk) const {
    return pass == Pass::kRight ? count - 1 - chunk : chunk;
  }
};

/// The turns of a pass from the first to the last that moves something; all 0: none does.
struct Turns {
  std::int32_t end;
  std::int32_t from_end;  // chunks from the first of these turns on

  __device__ void Include(std::int32_t turn, std::int32_t chunks) {
    atomicMax(&end, turn + 1);
    atomicMax(&from_end, chunks - turn);
  }
  __device__ std::int32_t First(std::int32_t chunks) const { return chunks - from_end; }
};

/// Zeros before the first kernel.
struct Workspace {
  unsigned long long* next_ticket;
  Turns* turns;  // [problems, kPasses]
  Mark* marks;   // [problems, longest], by target
};

/// The moves of a ticket: those of `pass` in a chunk.
struct Ticket {
  std::int32_t problem;  // negative: none is left
  Pass pass;
  std::int32_t first_move;
};

/// One move, as the thread that makes it sees it.
struct Move {
  RowPlace from = {nullptr, nullptr};
  RowPlace to = {nullptr, nullptr};
  Mark* of_target = nullptr;
  Mark* of_source = nullptr;  // null where the source is no target
  bool is_one = false;        // false: the thread has none

  /// After the source was read.
  __device__ void ClearMark() const {
    if (of_source == nullptr) return;
    ::cuda::atomic_ref<Mark, ::cuda::thread_scope_device>(*of_source)
        .store(0, ::cuda::memory_order_release);
  }
  __device__ void AwaitMark() const {
    const ::cuda::atomic_ref<Mark, ::cuda::thread_scope_device> pending(*of_target);
    while (pending.load(::cuda::memory_order_acquire) != 0) __nanosleep(20);
  }
};

/// All tickets of a batch.
class Tickets {
 public:
  __device__ Tickets(const CompactBatch& batch, const Workspace& workspace, const Chunks& chunks)
      : batch_(batch), workspace_(workspace), chunks_(chunks) {}

  /// The next ticket with something to move. By one thread. Where the counter stands at turns that
  /// move nothing, it is set past them for all blocks.
  __device__ Ticket Draw() const {
    while (true) {
      const auto number = static_cast<std::int64_t>(atomicAdd(workspace_.next_ticket, 1ULL));
      const std::int64_t pass = number / chunks_.count;
      if (pass >= Passes()) return {-1, Pass::kNone, 0};
      const auto turn = static_cast<std::int32_t>(number - pass * chunks_.count);
      const Turns turns = workspace_.turns[pass];
      if (turns.First(chunks_.count) <= turn && turn < turns.end) {
        const auto kind = static_cast<Pass>(static_cast<std::int32_t>(pass) % kPasses);
        return {static_cast<std::int32_t>(pass) / kPasses, kind,
                chunks_.Turn(kind, turn) * chunks_.rows};
      }
      atomicMax(workspace_.next_ticket,
                static_cast<unsigned long long>(turn < turns.end ? Begin(pass) : Begin(pass + 1)));
    }
  }

  /// Sets the counter past the turns before the first that moves something.
  __device__ void SkipToFirst() const {
    atomicMax(workspace_.next_ticket, static_cast<unsigned long long>(Begin(0)));
  }

  /// Move `lane` of a ticket's chunk.
  __device__ Move Locate(const Ticket& ticket, std::int32_t lane) const {
    Move found;
    if (ticket.problem < 0 || lane >= chunks_.rows) return found;
    const CompactProblem& problem = ProblemOf(ticket);
    const std::int32_t move = ticket.first_move + lane;
    if (move >= problem.count || PassOf(problem, batch_.block_size, move) != ticket.pass) {
      return found;
    }
    const std::int32_t source = problem.source_rows[move];
    found.is_one = true;
    found.from = PlaceOf(problem.cache, problem.block_table, batch_.block_size, source);
    found.to = PlaceOf(problem.cache, DestinationTable(problem), batch_.block_size,
                       problem.first_row + move);
    Mark* const marks = workspace_.marks + std::int64_t{ticket.problem} * batch_.longest;
    found.of_target = marks + move;
    const std::int32_t target = source - problem.first_row;
    if (source >= problem.head_rows && target >= 0 && target < problem.count) {
      found.of_source = marks + target;
    }
    return found;
  }

  __device__ const CompactProblem& ProblemOf(const Ticket& ticket) const {
    return batch_.problems[ticket.problem];
  }

 private:
  __device__ std::int64_t Passes() const { return std::int64_t{batch_.count} * kPasses; }

  /// The first ticket of a pass that moves something, from `pass` on, or the end of all tickets.
  __device__ std::int64_t Begin(std::int64_t pass) const {
    while (pass < Passes() && workspace_.turns[pass].end == 0) ++pass;
    const std::int64_t first = pass * chunks_.count;
    return pass < Passes() ? first + workspace_.turns[pass].First(chunks_.count) : first;
  }

  const CompactBatch& batch_;
  const Workspace& workspace_;
  const Chunks chunks_;
};

}  // namespace pinboard::kernels::compact
