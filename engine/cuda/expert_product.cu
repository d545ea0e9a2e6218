// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "base/cuda/cuda_status.h"
#include "base/dtype.h"
#include "base/status_macros.h"
#include "engine/cuda/expert_product.cuh"
#include "engine/cuda/shared_rows.cuh"

namespace pinboard::engine {
namespace {

/// A block of 4 warps makes kRows x kColumns results, kDepth values of the inner dimension at a
/// time: the next come in while these are multiplied. For 64 rows each warp has 16 of them, for 16
/// each has 16 of the columns.
template <int rows, int matrices>
struct ProductCut {
  static constexpr int kRows = rows;
  static constexpr int kMatrices = matrices;  // multiplied by the same rows
  static constexpr int kWarpsM = rows / 16;
  static constexpr int kWarpsN = 4 / kWarpsM;
  static constexpr int kThreads = 128;
  static constexpr int kColumns = 64;
  static constexpr int kWarpColumns = kColumns / kWarpsN;
  static constexpr int kDepth = 64;
  static constexpr int kStride = kDepth * 2 + 16;  // bytes: 8 rows read at once meet all banks
  static constexpr int kInBytes = kRows * kStride;
  static constexpr int kStageBytes = kInBytes + kMatrices * kColumns * kStride;
  static constexpr int kSharedBytes = 2 * kStageBytes;
};

/// sums[m] += in rows times the transpose of weights[m], for a row-major `in` whose rows row_at
/// gives (null: zeros) and weights [*, inner], of which columns first_column ... are taken.
template <typename Cut, typename RowAt>
__device__ void MultiplyTile(RowAt row_at, const std::uint16_t* const (&weights)[Cut::kMatrices],
                             int inner, int first_column, int columns, std::byte* shared,
                             float (&sums)[Cut::kMatrices][Cut::kWarpColumns / 8][4]) {
  constexpr int kPieces = Cut::kDepth / 8;
  const int lane = static_cast<int>(threadIdx.x % 32);
  const int warp_m = static_cast<int>(threadIdx.x / 32) % Cut::kWarpsM;
  const int warp_n = static_cast<int>(threadIdx.x / 32) / Cut::kWarpsM;
  const bool aligned = inner % 8 == 0;  // the matrices themselves are
  const auto begin_stage = [&](int stage) {
    std::byte* const at = shared + stage % 2 * Cut::kStageBytes;
    const int first = stage * Cut::kDepth;
    for (int i = static_cast<int>(threadIdx.x); i < Cut::kRows * kPieces; i += Cut::kThreads) {
      BeginEightValues(at + i / kPieces * Cut::kStride + i % kPieces * 16,
                       reinterpret_cast<const std::byte*>(row_at(i / kPieces)),
                       first + i % kPieces * 8, inner, aligned);
    }
#pragma unroll
    for (int m = 0; m < Cut::kMatrices; ++m) {
      std::byte* const matrix = at + Cut::kInBytes + m * Cut::kColumns * Cut::kStride;
      for (int i = static_cast<int>(threadIdx.x); i < Cut::kColumns * kPieces; i += Cut::kThreads) {
        const int column = first_column + i / kPieces;
        const std::uint16_t* const row =
            column < columns ? weights[m] + std::int64_t{column} * inner : nullptr;
        BeginEightValues(matrix + i / kPieces * Cut::kStride + i % kPieces * 16,
                         reinterpret_cast<const std::byte*>(row), first + i % kPieces * 8, inner,
                         aligned);
      }
    }
  };
  const int stages = (inner + Cut::kDepth - 1) / Cut::kDepth;
  begin_stage(0);
  for (int stage = 0; stage < stages; ++stage) {
    cuda::WaitForCopies();
    __syncthreads();
    if (stage + 1 < stages) begin_stage(stage + 1);
    const std::byte* const at = shared + stage % 2 * Cut::kStageBytes;
    const std::byte* const in_at = at + (warp_m * 16 + lane % 16) * Cut::kStride + lane / 16 * 16;
    const std::byte* const weight_at =
        at + Cut::kInBytes +
        (warp_n * Cut::kWarpColumns + lane / 16 * 8 + lane % 8) * Cut::kStride + lane / 8 % 2 * 16;
#pragma unroll
    for (int step = 0; step < Cut::kDepth / 16; ++step) {
      std::uint32_t a[4];
      cuda::LoadMatrices(a, in_at + step * 32);
#pragma unroll
      for (int m = 0; m < Cut::kMatrices; ++m) {
#pragma unroll
        for (int pair = 0; pair < Cut::kWarpColumns / 16; ++pair) {
          std::uint32_t b[4];
          cuda::LoadMatrices(
              b, weight_at + (m * Cut::kColumns + pair * 16) * Cut::kStride + step * 32);
          cuda::MultiplyAdd(sums[m][2 * pair], a[0], a[1], a[2], a[3], b[0], b[1]);
          cuda::MultiplyAdd(sums[m][2 * pair + 1], a[0], a[1], a[2], a[3], b[2], b[3]);
        }
      }
    }
  }
}

/// Calls take(row of the tile, column, part, i) for each of this lane's results.
template <typename Cut, typename Take>
__device__ void ForEachResult(int rows, int first_column, int columns, Take take) {
  const int lane = static_cast<int>(threadIdx.x % 32);
  const int warp_m = static_cast<int>(threadIdx.x / 32) % Cut::kWarpsM;
  const int warp_n = static_cast<int>(threadIdx.x / 32) / Cut::kWarpsM;
#pragma unroll
  for (int part = 0; part < Cut::kWarpColumns / 8; ++part) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int row = warp_m * 16 + i / 2 * 8 + lane / 4;
      const int column =
          first_column + warp_n * Cut::kWarpColumns + part * 8 + lane % 4 * 2 + i % 2;
      if (row < rows && column < columns) take(row, column, part, i);
    }
  }
}

/// grid: tiles, parts of the columns.
template <typename Cut>
__global__ __launch_bounds__(Cut::kThreads) void ActivateKernel(const ExpertStep step,
                                                                const std::uint16_t* normed,
                                                                std::uint16_t* activated) {
  extern __shared__ __align__(16) std::byte shared[];
  const ExpertTile tile = step.groups.tiles[blockIdx.x];
  if (tile.rows == 0) return;
  const ExpertMatrices expert = step.experts[tile.expert];
  const int first_column = static_cast<int>(blockIdx.y) * Cut::kColumns;
  const auto row_at = [&](int row) -> const std::uint16_t* {
    if (row >= tile.rows) return nullptr;
    const int token = step.groups.slot_of_row[tile.first + row] / step.experts_per_token;
    return normed + std::int64_t{token} * step.hidden;
  };
  const std::uint16_t* const weights[2] = {expert.gate, expert.up};
  float sums[2][Cut::kWarpColumns / 8][4] = {};
  MultiplyTile<Cut>(row_at, weights, step.hidden, first_column, step.columns, shared, sums);
  ForEachResult<Cut>(tile.rows, first_column, step.columns,
                     [&](int row, int column, int part, int i) {
                       const float gate = sums[0][part][i];
                       activated[std::int64_t{tile.first + row} * step.columns + column] =
                           FloatToBFloat16(gate / (1.0F + __expf(-gate)) * sums[1][part][i]);
                     });
}

/// grid: tiles, parts of the hidden dimension.
template <typename Cut>
__global__ __launch_bounds__(Cut::kThreads) void DownKernel(const ExpertStep step,
                                                            const std::uint16_t* activated,
                                                            float* out) {
  extern __shared__ __align__(16) std::byte shared[];
  const ExpertTile tile = step.groups.tiles[blockIdx.x];
  if (tile.rows == 0) return;
  const int first_column = static_cast<int>(blockIdx.y) * Cut::kColumns;
  const auto row_at = [&](int row) -> const std::uint16_t* {
    return row < tile.rows ? activated + std::int64_t{tile.first + row} * step.columns : nullptr;
  };
  const std::uint16_t* const weights[1] = {step.experts[tile.expert].down};
  float sums[1][Cut::kWarpColumns / 8][4] = {};
  MultiplyTile<Cut>(row_at, weights, step.columns, first_column, step.hidden, shared, sums);
  ForEachResult<Cut>(tile.rows, first_column, step.hidden,
                     [&](int row, int column, int part, int i) {
                       const std::int64_t slot = step.groups.slot_of_row[tile.first + row];
                       out[slot * step.hidden + column] = sums[0][part][i];
                     });
}

template <typename Cut>
dim3 Grid(const ExpertStep& step, int columns) {
  return dim3(static_cast<unsigned>(MostExpertTiles(step.slots, step.expert_count, Cut::kRows)),
              static_cast<unsigned>((columns + Cut::kColumns - 1) / Cut::kColumns));
}

template <typename Cut>
absl::Status AllowShared(void (*kernel)(ExpertStep, const std::uint16_t*, std::uint16_t*)) {
  return cuda::ToStatus(
      cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, Cut::kSharedBytes),
      "experts: shared memory");
}

template <int rows>
absl::Status LaunchActivate(const ExpertStep& step, const std::uint16_t* normed,
                            std::uint16_t* activated, cudaStream_t stream) {
  using Cut = ProductCut<rows, 2>;
  PB_RETURN_IF_ERROR(AllowShared<Cut>(ActivateKernel<Cut>));
  ActivateKernel<Cut><<<Grid<Cut>(step, step.columns), Cut::kThreads, Cut::kSharedBytes, stream>>>(
      step, normed, activated);
  return cuda::ToStatus(cudaGetLastError(), "experts: gate and up");
}

template <int rows>
absl::Status LaunchDown(const ExpertStep& step, const std::uint16_t* activated, float* out,
                        cudaStream_t stream) {
  using Cut = ProductCut<rows, 1>;
  static_assert(Cut::kSharedBytes <= 48 << 10);  // needs no leave
  DownKernel<Cut><<<Grid<Cut>(step, step.hidden), Cut::kThreads, Cut::kSharedBytes, stream>>>(
      step, activated, out);
  return cuda::ToStatus(cudaGetLastError(), "experts: down");
}

}  // namespace

absl::Status LaunchActivateExperts(const ExpertStep& step, const std::uint16_t* normed,
                                   std::uint16_t* activated, cudaStream_t stream) {
  return ExpertTileRows(step.slots, step.expert_count) == 16
             ? LaunchActivate<16>(step, normed, activated, stream)
             : LaunchActivate<64>(step, normed, activated, stream);
}

absl::Status LaunchDownExperts(const ExpertStep& step, const std::uint16_t* activated, float* out,
                               cudaStream_t stream) {
  return ExpertTileRows(step.slots, step.expert_count) == 16
             ? LaunchDown<16>(step, activated, out, stream)
             : LaunchDown<64>(step, activated, out, stream);
}

}  // namespace pinboard::engine
