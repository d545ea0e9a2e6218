// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <bit>

#include "absl/strings/str_cat.h"
#include "base/cuda/cuda_status.h"
#include "base/status_macros.h"
#include "engine/cuda/attention_tile.cuh"
#include "engine/cuda/paged_attention.cuh"

namespace pinboard::engine {
namespace {

constexpr int kMergeThreads = 128;
constexpr float kLog2E = 1.44269504088896F;

/// Few query rows and many, for keys and values padded to these sizes.
template <typename Few, typename Many>
struct Cuts {
  using Small = Few;
  using Large = Many;
  static_assert(Small::kRows == kSmallTileRows && Large::kRows == kLargeTileRows);
};
using Grouped32 =
    Cuts<AttentionCut<32, 32, false, 1, 2, 64>, AttentionCut<32, 32, false, 4, 1, 64>>;
using Grouped64 =
    Cuts<AttentionCut<64, 64, false, 1, 4, 64>, AttentionCut<64, 64, false, 4, 1, 64>>;
using Grouped128 =
    Cuts<AttentionCut<128, 128, false, 1, 4, 64>, AttentionCut<128, 128, false, 4, 1, 64>>;
using Latent128 =
    Cuts<AttentionCut<128, 128, true, 1, 4, 64>, AttentionCut<128, 128, true, 4, 2, 64>>;
using Latent576 =
    Cuts<AttentionCut<576, 512, true, 1, 4, 64>, AttentionCut<576, 512, true, 4, 2, 32>>;

/// Merges the splits of one row of a tile. grid: tiles, KV heads, rows of a tile.
__global__ __launch_bounds__(kMergeThreads) void MergeKernel(const AttentionLaunch launch,
                                                             int tile_rows) {
  const AttentionTile tile = launch.tiles[blockIdx.x];
  const LayerEntry entry = launch.arrays.batch.entries[tile.entry];
  const TileRows rows(launch, tile, entry, static_cast<int>(blockIdx.y), tile_rows);
  const auto row = static_cast<int>(blockIdx.z);
  if (row >= rows.count()) return;
  float highest = kMinusInfinity;
  for (int split = 0; split < launch.split.splits; ++split) {
    highest = fmaxf(highest, launch.part_sums[PartRow(launch, split, tile_rows, row)]);
  }
  float sum = 0.0F;
  for (int split = 0; split < launch.split.splits; ++split) {
    sum += cuda::Exp2(launch.part_sums[PartRow(launch, split, tile_rows, row)] - highest);
  }
  const std::int64_t head = rows.Head(row);
  if (threadIdx.x == 0 && launch.arrays.log_sum_exp != nullptr) {
    launch.arrays.log_sum_exp[head] = (highest + log2f(sum)) * kLn2;
  }
  for (int value = 2 * static_cast<int>(threadIdx.x); value < launch.value_dim;
       value += 2 * kMergeThreads) {
    float2 merged = make_float2(0.0F, 0.0F);
    for (int split = 0; split < launch.split.splits; ++split) {
      const std::int64_t part = PartRow(launch, split, tile_rows, row);
      const float weight = cuda::Exp2(launch.part_sums[part] - highest) / sum;
      const float2 values =
          *reinterpret_cast<const float2*>(launch.parts + part * launch.value_dim + value);
      merged.x = __fmaf_rn(weight, values.x, merged.x);
      merged.y = __fmaf_rn(weight, values.y, merged.y);
    }
    *reinterpret_cast<std::uint32_t*>(launch.arrays.context + head * launch.value_dim + value) =
        PackBFloat16(merged.x, merged.y);
  }
}

AttentionSplit SplitOf(const PagedAttentionShape& shape, const TileList& list,
                       int multiprocessors) {
  return SplitRows(list.count * shape.kv.kv_heads, list.most_rows, multiprocessors);
}

/// Rows of AttentionLaunch::parts.
std::size_t PartRows(const PagedAttentionShape& shape, const TileList& list, int tile_rows,
                     int multiprocessors) {
  if (list.count == 0) return 0;
  const int splits = SplitOf(shape, list, multiprocessors).splits;
  if (splits == 1) return 0;
  return static_cast<std::size_t>(splits) * list.count * shape.kv.kv_heads * tile_rows;
}

template <typename Cut>
absl::Status LaunchTiles(const PagedAttentionShape& shape, const PagedAttentionArrays& arrays,
                         const TileList& list, int multiprocessors, void* workspace,
                         cudaStream_t stream) {
  if (list.count == 0) return absl::OkStatus();
  const std::size_t part_rows = PartRows(shape, list, Cut::kRows, multiprocessors);
  auto* const parts = static_cast<float*>(workspace);
  const AttentionLaunch launch{
      .arrays = arrays,
      .tiles = list.tiles,
      .split = SplitOf(shape, list, multiprocessors),
      .key_dim = shape.kv.key_dim,
      .value_dim = shape.kv.value_dim,
      .kv_heads = shape.kv.kv_heads,
      .query_heads = shape.query_heads,
      .block_shift = std::countr_zero(static_cast<unsigned>(shape.block_size)),
      .scale = shape.scale * kLog2E,
      .parts = parts,
      .part_sums = parts + part_rows * shape.kv.value_dim};
  PB_RETURN_IF_ERROR(cuda::ToStatus(
      cudaFuncSetAttribute(AttendKernel<Cut>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                           Cut::kSharedBytes),
      "paged attention: shared memory"));
  const dim3 grid(static_cast<unsigned>(list.count), static_cast<unsigned>(shape.kv.kv_heads),
                  static_cast<unsigned>(launch.split.splits));
  AttendKernel<Cut><<<grid, Cut::kThreads, Cut::kSharedBytes, stream>>>(launch);
  PB_RETURN_IF_ERROR(cuda::ToStatus(cudaGetLastError(), "paged attention"));
  if (launch.split.splits == 1) return absl::OkStatus();
  MergeKernel<<<dim3(grid.x, grid.y, Cut::kRows), kMergeThreads, 0, stream>>>(launch, Cut::kRows);
  return cuda::ToStatus(cudaGetLastError(), "paged attention: merge");
}

/// Calls `body` with the cuts for this shape.
template <typename Body>
absl::Status WithCuts(const KvShape& kv, Body body) {
  if (kv.dtype != DType::kBF16) {
    return absl::InvalidArgumentError("paged attention on the device reads bf16 rows");
  }
  if (kv.key_dim % 2 == 0 && kv.value_dim % 2 == 0 && kv.key_dim > 0 && kv.value_dim > 0) {
    if (kv.value_in_key) {
      if (kv.key_dim <= 128) return body(Latent128{});
      if (kv.key_dim <= 576 && kv.value_dim <= 512) return body(Latent576{});
    } else {
      const int dim = std::max(kv.key_dim, kv.value_dim);
      if (dim <= 32) return body(Grouped32{});
      if (dim <= 64) return body(Grouped64{});
      if (dim <= 128) return body(Grouped128{});
    }
  }
  return absl::UnimplementedError(absl::StrCat(
      "paged attention on the device has no kernel for keys of ", kv.key_dim, " and values of ",
      kv.value_dim,
      kv.value_in_key ? " in them: at most 576 and 512, even" : ": at most 128, even"));
}

}  // namespace

absl::Status CheckPagedAttention(const PagedAttentionShape& shape) {
  return WithCuts(shape.kv, [](auto) { return absl::OkStatus(); });
}

std::size_t PagedAttentionWorkspaceBytes(const PagedAttentionShape& shape, const TileList& small,
                                         const TileList& large, int multiprocessors) {
  const std::size_t rows = std::max(PartRows(shape, small, kSmallTileRows, multiprocessors),
                                    PartRows(shape, large, kLargeTileRows, multiprocessors));
  return rows * (shape.kv.value_dim + 1) * sizeof(float);
}

absl::Status LaunchPagedAttention(const PagedAttentionShape& shape,
                                  const PagedAttentionArrays& arrays, const TileList& small,
                                  const TileList& large, int multiprocessors, void* workspace,
                                  cudaStream_t stream) {
  return WithCuts(shape.kv, [&]<typename Chosen>(Chosen) {
    PB_RETURN_IF_ERROR(LaunchTiles<typename Chosen::Small>(shape, arrays, small, multiprocessors,
                                                           workspace, stream));
    return LaunchTiles<typename Chosen::Large>(shape, arrays, large, multiprocessors, workspace,
                                               stream);
  });
}

}  // namespace pinboard::engine
