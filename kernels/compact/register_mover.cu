// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "base/cuda/cuda_status.h"
#include "base/status_macros.h"
#include "kernels/compact/movers.cuh"
#include "kernels/compact/tickets.cuh"

namespace pinboard::kernels::compact {
namespace {

constexpr int kThreads = 256;
constexpr int kWordsHeld = 8;  // by a thread
constexpr int kTicketWords = kThreads * kWordsHeld;
static_assert(kTicketWords * kWordBytes == kMostRowBytes);
constexpr int kMaxTicketRows = 64;
constexpr int kBlocksPerMultiprocessor = 3;

/// What the threads of a block share of a ticket.
struct SharedTicket {
  Ticket ticket;
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
  __device__ void ForEach(const SharedTicket& ticket, const RowPlace* places, Visit visit) const {
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

/// By all threads: where the ticket's rows lie, and this thread's move.
__device__ Move LocateAll(const Tickets& tickets, SharedTicket& shared, int rows) {
  const auto lane = static_cast<std::int32_t>(threadIdx.x);
  const Move move = tickets.Locate(shared.ticket, lane);
  if (lane < rows) {
    shared.from[lane] = move.from;
    shared.to[lane] = move.to;
  }
  if (lane == 0 && shared.ticket.problem >= 0) {
    const KvLayerView& cache = tickets.ProblemOf(shared.ticket).cache;
    shared.key_head_stride = cache.key.head_stride;
    shared.value_head_stride = cache.value.head_stride;
  }
  return move;
}

/// While a ticket's rows are on their way, the next one is drawn and its rows are located.
__global__ __launch_bounds__(kThreads, kBlocksPerMultiprocessor) void RegisterKernel(
    CompactBatch batch, RowWords words, Workspace workspace, Chunks chunks) {
  __shared__ SharedTicket shared[2];
  const Tickets tickets(batch, workspace, chunks);
  const OwnWords own(words, chunks.rows);
  if (threadIdx.x == 0) shared[0].ticket = tickets.Draw();
  __syncthreads();
  Move move = LocateAll(tickets, shared[0], chunks.rows);
  __syncthreads();
  for (int now = 0; shared[now].ticket.problem >= 0; now ^= 1) {
    const SharedTicket& ticket = shared[now];
    SharedTicket& next = shared[now ^ 1];
    uint4 held[kWordsHeld];
    own.ForEach(ticket, ticket.from, [&](int i, uint4* word) {
      held[i] = __ldcg(word);  // past L1: another block may write the row later
    });
    if (threadIdx.x == 0) next.ticket = tickets.Draw();
    __syncthreads();
    if (move.is_one) move.ClearMark();
    const Move next_move = LocateAll(tickets, next, chunks.rows);
    __syncthreads();
    if (move.is_one) move.AwaitMark();
    __syncthreads();
    own.ForEach(ticket, ticket.to, [&](int i, uint4* word) { *word = held[i]; });
    move = next_move;
  }
}

int TicketRows(int row_bytes) { return std::min(kMostRowBytes / row_bytes, kMaxTicketRows); }

absl::Status MoveRows(const CompactBatch& batch, const RowWords& words, const Workspace& workspace,
                      const Chunks& chunks, cudaStream_t stream) {
  PB_ASSIGN_OR_RETURN(const int multiprocessors, OfDevice(cudaDevAttrMultiProcessorCount));
  RegisterKernel<<<multiprocessors * kBlocksPerMultiprocessor, kThreads, 0, stream>>>(
      batch, words, workspace, chunks);
  return cuda::ToStatus(cudaGetLastError(), "compact");
}

}  // namespace

const Mover kRegisterMover{TicketRows, MoveRows};

}  // namespace pinboard::kernels::compact
