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

/// What the threads of a block share while they serve a ticket.
struct Ticket {
  std::int64_t number;
  std::int64_t key_head_stride;
  std::int64_t value_head_stride;
  RowPlace from[kMaxTicketRows];
  RowPlace to[kMaxTicketRows];
};

class Mover {
 public:
  __device__ Mover(const CompactBatch& batch, const RowWords& words, const Workspace& workspace,
                   const Chunks& chunks, Ticket& ticket)
      : batch_(batch), words_(words), workspace_(workspace), chunks_(chunks), ticket_(ticket) {}

  __device__ std::int64_t Tickets() const {
    return std::int64_t{batch_.count} * kPasses * chunks_.count;
  }

  /// The next ticket with something to move, or Tickets() or more. By one thread. Where the counter
  /// stands at turns that move nothing, it is set past them for all blocks.
  __device__ std::int64_t Draw() const {
    while (true) {
      const auto number = static_cast<std::int64_t>(atomicAdd(workspace_.next_ticket, 1ULL));
      const std::int64_t served = FirstServed(number);
      if (served == number) return number;
      atomicMax(workspace_.next_ticket, static_cast<unsigned long long>(served));
    }
  }

  /// Every thread of the block takes part.
  __device__ void Serve(std::int64_t number) const {
    const auto index = static_cast<int>(number / (kPasses * chunks_.count));
    const auto pass = static_cast<Pass>(number / chunks_.count % kPasses);
    const auto turn = static_cast<std::int32_t>(number % chunks_.count);
    const std::int32_t first = chunks_.Turn(pass, turn) * chunks_.rows;
    const CompactProblem& problem = batch_.problems[index];
    Mark* const marks = workspace_.marks + std::int64_t{index} * batch_.longest;

    const auto lane = static_cast<std::int32_t>(threadIdx.x);
    const std::int32_t move = first + lane;
    const bool is_mine = lane < chunks_.rows && move < problem.count &&
                         PassOf(problem, batch_.block_size, move) == pass;
    if (lane < chunks_.rows) Locate(problem, move, is_mine);
    if (__syncthreads_or(is_mine) == 0) return;
    uint4 held[kWordsHeld];
    ForEachWord(ticket_.from, [&](int i, uint4* word) {
      held[i] = __ldcg(word);  // past L1: another block may write the row later
    });
    __syncthreads();
    if (is_mine) ClearMark(problem, marks, move);
    __syncthreads();
    if (is_mine) AwaitMark(marks + move);
    __syncthreads();
    ForEachWord(ticket_.to, [&](int i, uint4* word) { *word = held[i]; });
  }

 private:
  /// The first ticket from `number` on whose turn moves something; Tickets() or more where none
  /// does.
  __device__ std::int64_t FirstServed(std::int64_t number) const {
    while (number < Tickets()) {
      const std::int64_t pass = number / chunks_.count;
      const auto turn = static_cast<std::int32_t>(number % chunks_.count);
      const Turns turns = workspace_.turns[pass];
      if (turn < turns.end) return number + max(turns.First(chunks_.count) - turn, 0);
      number = (pass + 1) * chunks_.count;
    }
    return number;
  }

  __device__ void Locate(const CompactProblem& problem, std::int32_t move, bool is_mine) const {
    RowPlace& from = ticket_.from[threadIdx.x];
    RowPlace& to = ticket_.to[threadIdx.x];
    from = to = {nullptr, nullptr};
    if (is_mine) {
      from =
          PlaceOf(problem.cache, problem.block_table, batch_.block_size, problem.source_rows[move]);
      to = PlaceOf(problem.cache, DestinationTable(problem), batch_.block_size,
                   problem.first_row + move);
    }
    if (threadIdx.x == 0) {
      ticket_.key_head_stride = problem.cache.key.head_stride;
      ticket_.value_head_stride = problem.cache.value.head_stride;
    }
  }

  /// Calls visit(i, address) for this thread's words of the rows at `places`.
  template <typename Visit>
  __device__ void ForEachWord(const RowPlace* places, Visit visit) const {
#pragma unroll
    for (int i = 0; i < kWordsHeld; ++i) {
      const int at = i * kThreads + static_cast<int>(threadIdx.x);
      const int row = at / words_.all();
      if (row >= chunks_.rows || places[row].key == nullptr) continue;
      visit(i, WordAddress(places[row], words_, ticket_.key_head_stride, ticket_.value_head_stride,
                           at % words_.all()));
    }
  }

  /// After a barrier that follows the reads of all threads.
  __device__ static void ClearMark(const CompactProblem& problem, Mark* marks, std::int32_t move) {
    const std::int32_t source = problem.source_rows[move];
    const std::int32_t target = source - problem.first_row;
    if (source >= problem.head_rows && target >= 0 && target < problem.count) {
      ::cuda::atomic_ref<Mark, ::cuda::thread_scope_device>(marks[target])
          .store(0, ::cuda::memory_order_release);
    }
  }

  __device__ static void AwaitMark(Mark* mark) {
    const ::cuda::atomic_ref<Mark, ::cuda::thread_scope_device> pending(*mark);
    while (pending.load(::cuda::memory_order_acquire) != 0) __nanosleep(20);
  }

  const CompactBatch& batch_;
  const RowWords words_;
  const Workspace& workspace_;
  const Chunks chunks_;
  Ticket& ticket_;
};

__global__ __launch_bounds__(kThreads, kBlocksPerMultiprocessor) void CompactKernel(
    CompactBatch batch, RowWords words, Workspace workspace, Chunks chunks) {
  __shared__ Ticket ticket;
  const Mover mover(batch, words, workspace, chunks, ticket);
  while (true) {
    __syncthreads();  // the last ticket's words are written
    if (threadIdx.x == 0) ticket.number = mover.Draw();
    __syncthreads();
    const std::int64_t number = ticket.number;
    if (number >= mover.Tickets()) return;
    mover.Serve(number);
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
