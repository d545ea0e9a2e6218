// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cuda/atomic>

#include "absl/strings/str_cat.h"
#include "base/cuda/cuda_status.h"
#include "base/status_macros.h"
#include "kernels/compact/compact_cuda.cuh"
#include "kernels/row_words.cuh"

namespace pinboard::kernels {
namespace {

constexpr int kThreads = 256;
constexpr int kWordsHeld = 8;  // by a thread
constexpr int kTicketWords = kThreads * kWordsHeld;
constexpr int kMaxTicketRows = 64;
constexpr int kBlocksPerMultiprocessor = 3;

using Mark = std::uint32_t;  // 1: the row at this target is a source that was not read yet

__device__ const std::int32_t* DestinationTable(const CompactProblem& problem) {
  return problem.destination_table == nullptr ? problem.block_table : problem.destination_table;
}

/// Where its row lies already, a move writes nothing.
__device__ bool IsThere(const CompactProblem& problem, int block_size, std::int32_t source,
                        std::int32_t target) {
  if (source != target) return false;
  const std::int32_t block = target / block_size;
  return DestinationTable(problem)[block] == problem.block_table[block];
}

/// The three passes in the order of tickets; a move belongs to one or, where it stays, to none.
enum class Pass : std::uint8_t { kRight, kLeft, kHead, kNone };
constexpr int kPasses = 3;

__device__ Pass PassOf(const CompactProblem& problem, int block_size, std::int32_t move) {
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

/// Marks the targets that are sources, too, and finds the turns of each pass.
__global__ __launch_bounds__(kThreads) void MarkKernel(CompactBatch batch, Workspace workspace,
                                                       Chunks chunks) {
  __shared__ Turns turns[kPasses];
  if (threadIdx.x < kPasses) turns[threadIdx.x] = {0, 0};
  __syncthreads();
  const CompactProblem problem = batch.problems[blockIdx.y];
  const auto move = static_cast<std::int32_t>(blockIdx.x * kThreads + threadIdx.x);
  const Pass pass = move < problem.count ? PassOf(problem, batch.block_size, move) : Pass::kNone;
  if (pass != Pass::kNone) {
    turns[static_cast<int>(pass)].Include(chunks.Turn(pass, move / chunks.rows), chunks.count);
  }
  if (move < problem.count) {
    const std::int32_t source = problem.source_rows[move];
    const std::int32_t target = source - problem.first_row;
    const bool moves = source >= problem.head_rows && target != move;
    if (moves && target >= 0 && target < problem.count) {
      workspace.marks[std::int64_t{blockIdx.y} * batch.longest + target] = 1;
    }
  }
  __syncthreads();
  if (threadIdx.x < kPasses && turns[threadIdx.x].end > 0) {
    Turns& all = workspace.turns[blockIdx.y * kPasses + threadIdx.x];
    atomicMax(&all.end, turns[threadIdx.x].end);
    atomicMax(&all.from_end, turns[threadIdx.x].from_end);
  }
}

/// What the threads of a block share of a ticket.
struct Ticket {
  std::int32_t problem;  // negative: none is left
  Pass pass;
  std::int32_t first_move;
  std::int64_t key_head_stride;
  std::int64_t value_head_stride;
  RowPlace from[kMaxTicketRows];
  RowPlace to[kMaxTicketRows];
};

/// The words of a ticket's rows that a thread moves: the same ones of every ticket.
class OwnWords {
 public:
  __device__ OwnWords(const RowWords& words, int rows) {
    const int key_words = words.key * words.heads;
#pragma unroll
    for (int i = 0; i < kWordsHeld; ++i) {
      const int at = i * kThreads + static_cast<int>(threadIdx.x);
      const int row = at / words.all();
      const int word = at % words.all();
      const bool is_value = word >= key_words;
      const int in_plane = is_value ? word - key_words : word;
      const int of_head = is_value ? words.value : words.key;
      packed_[i] = row >= rows ? kNone
                               : static_cast<std::uint32_t>(row) << 23U |
                                     static_cast<std::uint32_t>(is_value) << 22U |
                                     static_cast<std::uint32_t>(in_plane / of_head) << 11U |
                                     static_cast<std::uint32_t>(in_plane % of_head);
    }
  }

  /// Calls visit(i, address) for these words of the rows at `places`.
  template <typename Visit>
  __device__ void ForEach(const Ticket& ticket, const RowPlace* places, Visit visit) const {
#pragma unroll
    for (int i = 0; i < kWordsHeld; ++i) {
      if (packed_[i] == kNone) continue;
      const RowPlace& place = places[packed_[i] >> 23U];
      if (place.key == nullptr) continue;
      const bool is_value = (packed_[i] >> 22U & 1U) != 0;
      std::byte* const address =
          (is_value ? place.value : place.key) +
          (packed_[i] >> 11U & 0x7ffU) *
              (is_value ? ticket.value_head_stride : ticket.key_head_stride) +
          (packed_[i] & 0x7ffU) * kWordBytes;
      visit(i, reinterpret_cast<uint4*>(address));
    }
  }

 private:
  static constexpr std::uint32_t kNone = 0xffffffffU;
  static_assert(kMaxTicketRows <= 1 << 6 && kTicketWords <= 1 << 11);

  std::uint32_t packed_[kWordsHeld];  // row, is_value, head, word of the head
};

/// What a block does with tickets.
class Mover {
 public:
  __device__ Mover(const CompactBatch& batch, const Workspace& workspace, const Chunks& chunks)
      : batch_(batch), workspace_(workspace), chunks_(chunks) {}

  /// The next ticket with something to move. By one thread. Where the counter stands at turns that
  /// move nothing, it is set past them for all blocks.
  __device__ void Draw(Ticket& ticket) const {
    while (true) {
      const auto number = static_cast<std::int64_t>(atomicAdd(workspace_.next_ticket, 1ULL));
      const std::int64_t pass = number / chunks_.count;
      if (pass >= Passes()) {
        ticket.problem = -1;
        return;
      }
      const auto turn = static_cast<std::int32_t>(number - pass * chunks_.count);
      const Turns turns = workspace_.turns[pass];
      if (turns.First(chunks_.count) <= turn && turn < turns.end) {
        ticket.problem = static_cast<std::int32_t>(pass) / kPasses;
        ticket.pass = static_cast<Pass>(static_cast<std::int32_t>(pass) % kPasses);
        ticket.first_move = chunks_.Turn(ticket.pass, turn) * chunks_.rows;
        return;
      }
      atomicMax(workspace_.next_ticket,
                static_cast<unsigned long long>(turn < turns.end ? Begin(pass) : Begin(pass + 1)));
    }
  }

  /// By all threads: where the ticket's rows lie, and whether this thread's move is among them.
  __device__ bool Locate(Ticket& ticket) const {
    const auto lane = static_cast<std::int32_t>(threadIdx.x);
    if (ticket.problem < 0 || lane >= chunks_.rows) return false;
    const CompactProblem& problem = ProblemOf(ticket);
    const std::int32_t move = ticket.first_move + lane;
    const bool is_mine =
        move < problem.count && PassOf(problem, batch_.block_size, move) == ticket.pass;
    RowPlace& from = ticket.from[lane];
    RowPlace& to = ticket.to[lane];
    from = to = {nullptr, nullptr};
    if (is_mine) {
      from =
          PlaceOf(problem.cache, problem.block_table, batch_.block_size, problem.source_rows[move]);
      to = PlaceOf(problem.cache, DestinationTable(problem), batch_.block_size,
                   problem.first_row + move);
    }
    if (lane == 0) {
      ticket.key_head_stride = problem.cache.key.head_stride;
      ticket.value_head_stride = problem.cache.value.head_stride;
    }
    return is_mine;
  }

  /// After a barrier that follows the reads of all threads.
  __device__ void ClearMark(const Ticket& ticket) const {
    const CompactProblem& problem = ProblemOf(ticket);
    const std::int32_t source = problem.source_rows[MoveOf(ticket)];
    const std::int32_t target = source - problem.first_row;
    if (source >= problem.head_rows && target >= 0 && target < problem.count) {
      ::cuda::atomic_ref<Mark, ::cuda::thread_scope_device>(MarksOf(ticket)[target])
          .store(0, ::cuda::memory_order_release);
    }
  }

  __device__ void AwaitMark(const Ticket& ticket) const {
    const ::cuda::atomic_ref<Mark, ::cuda::thread_scope_device> pending(
        MarksOf(ticket)[MoveOf(ticket)]);
    while (pending.load(::cuda::memory_order_acquire) != 0) __nanosleep(20);
  }

 private:
  __device__ std::int64_t Passes() const { return std::int64_t{batch_.count} * kPasses; }

  /// The first ticket of a pass that moves something, from `pass` on, or the end of all tickets.
  __device__ std::int64_t Begin(std::int64_t pass) const {
    while (pass < Passes() && workspace_.turns[pass].end == 0) ++pass;
    const std::int64_t first = pass * chunks_.count;
    return pass < Passes() ? first + workspace_.turns[pass].First(chunks_.count) : first;
  }

  __device__ const CompactProblem& ProblemOf(const Ticket& ticket) const {
    return batch_.problems[ticket.problem];
  }
  __device__ static std::int32_t MoveOf(const Ticket& ticket) {
    return ticket.first_move + static_cast<std::int32_t>(threadIdx.x);
  }
  __device__ Mark* MarksOf(const Ticket& ticket) const {
    return workspace_.marks + std::int64_t{ticket.problem} * batch_.longest;
  }

  const CompactBatch& batch_;
  const Workspace& workspace_;
  const Chunks chunks_;
};

/// While a ticket's rows are on their way, the next one is drawn and its rows are located.
__global__ __launch_bounds__(kThreads, kBlocksPerMultiprocessor) void CompactKernel(
    CompactBatch batch, RowWords words, Workspace workspace, Chunks chunks) {
  __shared__ Ticket tickets[2];
  const Mover mover(batch, workspace, chunks);
  const OwnWords own(words, chunks.rows);
  if (threadIdx.x == 0) mover.Draw(tickets[0]);
  __syncthreads();
  bool is_mine = mover.Locate(tickets[0]);
  __syncthreads();
  for (int now = 0; tickets[now].problem >= 0; now ^= 1) {
    const Ticket& ticket = tickets[now];
    Ticket& next = tickets[now ^ 1];
    uint4 held[kWordsHeld];
    own.ForEach(ticket, ticket.from, [&](int i, uint4* word) {
      held[i] = __ldcg(word);  // past L1: another block may write the row later
    });
    if (threadIdx.x == 0) mover.Draw(next);
    __syncthreads();
    if (is_mine) mover.ClearMark(ticket);
    const bool next_is_mine = mover.Locate(next);
    __syncthreads();
    if (is_mine) mover.AwaitMark(ticket);
    __syncthreads();
    own.ForEach(ticket, ticket.to, [&](int i, uint4* word) { *word = held[i]; });
    is_mine = next_is_mine;
  }
}

absl::Status CheckBatch(const CompactBatch& batch) {
  if (batch.count < 0 || batch.count > 65535 || batch.longest < 0 || batch.block_size <= 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("Compact: ", batch.count, " problems of up to ", batch.longest,
                     " moves in blocks of ", batch.block_size, " rows: at most 65,535 problems"));
  }
  if (batch.shape.RowBytes() > kTicketWords * kWordBytes) {
    return absl::UnimplementedError(absl::StrCat("Compact: a row has ", batch.shape.RowBytes(),
                                                 " bytes: the device moves at most ",
                                                 kTicketWords * kWordBytes));
  }
  return absl::OkStatus();
}

std::size_t TurnsBytes(int problems) {
  return static_cast<std::size_t>(problems) * kPasses * sizeof(Turns);
}
std::size_t MarkBytes(int problems, std::int32_t longest) {
  return static_cast<std::size_t>(problems) * static_cast<std::size_t>(longest) * sizeof(Mark);
}

}  // namespace

std::size_t CompactWorkspaceBytes(int problems, std::int32_t longest) {
  return sizeof(unsigned long long) + TurnsBytes(problems) + MarkBytes(problems, longest);
}

absl::Status LaunchCompact(const CompactBatch& batch, void* workspace, cudaStream_t stream) {
  PB_RETURN_IF_ERROR(CheckBatch(batch));
  PB_ASSIGN_OR_RETURN(const RowWords words, CutIntoWords("Compact", batch.shape));
  if (batch.count == 0 || batch.longest == 0) return absl::OkStatus();
  const int chunk_rows = std::min(kTicketWords / words.all(), kMaxTicketRows);
  const Chunks chunks{chunk_rows, (batch.longest + chunk_rows - 1) / chunk_rows};
  int device = 0;
  int multiprocessors = 0;
  PB_RETURN_IF_ERROR(cuda::ToStatus(cudaGetDevice(&device), "compact"));
  PB_RETURN_IF_ERROR(cuda::ToStatus(
      cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, device), "compact"));

  auto* const next_ticket = static_cast<unsigned long long*>(workspace);
  auto* const turns = reinterpret_cast<Turns*>(next_ticket + 1);
  auto* const marks = reinterpret_cast<Mark*>(turns + std::ptrdiff_t{batch.count} * kPasses);
  const Workspace areas{next_ticket, turns, marks};
  const std::size_t bytes = CompactWorkspaceBytes(batch.count, batch.longest);
  PB_RETURN_IF_ERROR(
      cuda::ToStatus(cudaMemsetAsync(workspace, 0, bytes, stream), "compact: clear the marks"));
  const dim3 grid(static_cast<unsigned>((batch.longest + kThreads - 1) / kThreads),
                  static_cast<unsigned>(batch.count));
  MarkKernel<<<grid, kThreads, 0, stream>>>(batch, areas, chunks);
  PB_RETURN_IF_ERROR(cuda::ToStatus(cudaGetLastError(), "compact: mark"));
  CompactKernel<<<multiprocessors * kBlocksPerMultiprocessor, kThreads, 0, stream>>>(batch, words,
                                                                                     areas, chunks);
  return cuda::ToStatus(cudaGetLastError(), "compact");
}

}  // namespace pinboard::kernels
