// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "base/cuda/cuda_status.h"
#include "base/status_macros.h"
#include "kernels/compact/bulk_copies.cuh"
#include "kernels/compact/movers.cuh"
#include "kernels/compact/tickets.cuh"

namespace pinboard::kernels::compact {
namespace {

constexpr int kLanes = 32;
constexpr int kMostWarps = 6;              // of a block; a multiprocessor runs one
constexpr int kSlotBytes = kMostRowBytes;  // of a warp, for the rows of a ticket

extern __shared__ __align__(128) std::byte slots[];  // [warps, kSlotBytes]

__device__ Ticket DrawForWarp(const Tickets& tickets, int lane) {
  Ticket ticket{-1, Pass::kNone, 0};
  if (lane == 0) ticket = tickets.Draw();
  const auto from_first = [](int value) { return __shfl_sync(~0U, value, 0); };
  return {from_first(ticket.problem), static_cast<Pass>(from_first(static_cast<int>(ticket.pass))),
          from_first(ticket.first_move)};
}

/// A warp takes a ticket and a lane a move. While rows are on their way, the next ticket is drawn
/// and its rows are located.
__global__ __launch_bounds__(kMostWarps* kLanes) void BulkKernel(CompactBatch batch, RowWords words,
                                                                 Workspace workspace,
                                                                 Chunks chunks) {
  __shared__ alignas(8) std::uint64_t barriers[kMostWarps];
  const Tickets tickets(batch, workspace, chunks);
  const int warp = static_cast<int>(threadIdx.x) / kLanes;
  const int lane = static_cast<int>(threadIdx.x) % kLanes;
  Arrivals arrivals(&barriers[warp]);
  if (threadIdx.x == 0) tickets.SkipToFirst();
  __syncthreads();
  const std::uint32_t row_bytes = words.all() * kWordBytes;
  const std::uint32_t slot = SharedAddress(slots) + warp * kSlotBytes + lane * row_bytes;

  Ticket ticket = DrawForWarp(tickets, lane);
  Move move = tickets.Locate(ticket, lane);
  while (ticket.problem >= 0) {
    AwaitStoresRead();
    const RowPieces pieces(tickets.ProblemOf(ticket).cache, words);
    arrivals.Expect(__popc(__ballot_sync(~0U, move.is_one)) * row_bytes);
    if (move.is_one) {
      pieces.ForEach(move.from, slot, [&](std::byte* row, std::uint32_t at, std::uint32_t bytes) {
        arrivals.Load(at, row, bytes);
      });
    }
    const Ticket next = DrawForWarp(tickets, lane);
    const Move next_move = tickets.Locate(next, lane);
    arrivals.Await();
    if (move.is_one) move.ClearMark();
    __syncwarp();
    if (move.is_one) {
      move.AwaitMark();
      BeginStores();
      pieces.ForEach(move.to, slot, Store);
    }
    EndStores();
    ticket = next;
    move = next_move;
  }
  AwaitStores();
}

int TicketRows(int row_bytes) { return std::min(kSlotBytes / row_bytes, kLanes); }

absl::Status MoveRows(const CompactBatch& batch, const RowWords& words, const Workspace& workspace,
                      const Chunks& chunks, cudaStream_t stream) {
  PB_ASSIGN_OR_RETURN(const int multiprocessors, OfDevice(cudaDevAttrMultiProcessorCount));
  PB_ASSIGN_OR_RETURN(const int shared, OfDevice(cudaDevAttrMaxSharedMemoryPerBlockOptin));
  const int warps = std::min((shared - 1024) / kSlotBytes, kMostWarps);
  PB_RETURN_IF_ERROR(
      cuda::ToStatus(cudaFuncSetAttribute(BulkKernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                          warps * kSlotBytes),
                     "compact: shared memory"));
  BulkKernel<<<multiprocessors, warps * kLanes, warps * kSlotBytes, stream>>>(batch, words,
                                                                              workspace, chunks);
  return cuda::ToStatus(cudaGetLastError(), "compact");
}

}  // namespace

const Mover kBulkMover{TicketRows, MoveRows};

}  // namespace pinboard::kernels::compact
