// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "kernels/compact/compact_cuda.cuh"

#include "absl/strings/str_cat.h"
#include "base/cuda/cuda_status.h"
#include "base/status_macros.h"
#include "kernels/compact/movers.cuh"
#include "kernels/compact/tickets.cuh"

namespace pinboard::kernels {
namespace compact {
namespace {

constexpr int kThreads = 256;

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

absl::Status CheckBatch(const CompactBatch& batch) {
  if (batch.count < 0 || batch.count > 65535 || batch.longest < 0 || batch.block_size <= 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("Compact: ", batch.count, " problems of up to ", batch.longest,
                     " moves in blocks of ", batch.block_size, " rows: at most 65,535 problems"));
  }
  if (batch.shape.RowBytes() > kMostRowBytes) {
    return absl::UnimplementedError(absl::StrCat("Compact: a row has ", batch.shape.RowBytes(),
                                                 " bytes: the device moves at most ",
                                                 kMostRowBytes));
  }
  return absl::OkStatus();
}

std::size_t TurnsBytes(int problems) {
  return static_cast<std::size_t>(problems) * kPasses * sizeof(Turns);
}
std::size_t MarkBytes(int problems, std::int32_t longest) {
  return static_cast<std::size_t>(problems) * static_cast<std::size_t>(longest) * sizeof(Mark);
}

Workspace AreasOf(const CompactBatch& batch, void* workspace) {
  auto* const next_ticket = static_cast<unsigned long long*>(workspace);
  auto* const turns = reinterpret_cast<Turns*>(next_ticket + 1);
  auto* const marks = reinterpret_cast<Mark*>(turns + std::ptrdiff_t{batch.count} * kPasses);
  return {next_ticket, turns, marks};
}

}  // namespace

absl::Status Launch(const CompactBatch& batch, const Mover& mover, void* workspace,
                    cudaStream_t stream) {
  PB_RETURN_IF_ERROR(CheckBatch(batch));
  PB_ASSIGN_OR_RETURN(const RowWords words, CutIntoWords("Compact", batch.shape));
  if (batch.count == 0 || batch.longest == 0) return absl::OkStatus();
  const int rows = mover.ticket_rows(words.all() * kWordBytes);
  const Chunks chunks{rows, (batch.longest + rows - 1) / rows};
  const Workspace areas = AreasOf(batch, workspace);
  const std::size_t bytes = CompactWorkspaceBytes(batch.count, batch.longest);
  PB_RETURN_IF_ERROR(
      cuda::ToStatus(cudaMemsetAsync(workspace, 0, bytes, stream), "compact: clear the marks"));
  const dim3 grid(static_cast<unsigned>((batch.longest + kThreads - 1) / kThreads),
                  static_cast<unsigned>(batch.count));
  MarkKernel<<<grid, kThreads, 0, stream>>>(batch, areas, chunks);
  PB_RETURN_IF_ERROR(cuda::ToStatus(cudaGetLastError(), "compact: mark"));
  return mover.launch(batch, words, areas, chunks, stream);
}

}  // namespace compact

std::size_t CompactWorkspaceBytes(int problems, std::int32_t longest) {
  return sizeof(unsigned long long) + compact::TurnsBytes(problems) +
         compact::MarkBytes(problems, longest);
}

absl::Status LaunchCompact(const CompactBatch& batch, void* workspace, cudaStream_t stream) {
  PB_ASSIGN_OR_RETURN(const int major, compact::OfDevice(cudaDevAttrComputeCapabilityMajor));
  const compact::Mover& fastest = major >= 9 ? compact::kBulkMover : compact::kRegisterMover;
  return compact::Launch(batch, fastest, workspace, stream);
}

}  // namespace pinboard::kernels
