// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The passes over the keys by Hopper's warpgroup products. A block keeps 128 or 256 queries of one
// KV head in shared memory; one warpgroup streams tiles of 128 keys through a ring beside them, and
// four warpgroups multiply 64 rows by 128 each and take the exponentials of what they have
// multiplied while the tensor cores work for the others.
#include "base/cuda/cuda_status.h"
#include "base/status_macros.h"
#include "kernels/attention_score/attention_score_tuning.h"
#include "kernels/attention_score/key_passes.cuh"
#include "kernels/attention_score/key_pieces.cuh"
#include "kernels/attention_score/wgmma_eight_bit_loads.cuh"
#include "kernels/attention_score/wgmma_loads.cuh"
#include "kernels/attention_score/wgmma_plan.cuh"
#include "kernels/attention_score/wgmma_sinks.cuh"

namespace pinboard::kernels::attention_score {
namespace {

/// Warpgroups that multiply at the same time end at the same time, and leave the tensor cores idle
/// while all of them take exponentials. So they begin in turn, each when the one before it is half
/// done.
__device__ void AwaitTurn(int warpgroup) {
  asm volatile("bar.sync %0, 256;" ::"r"(2 + warpgroup) : "memory");
}
__device__ void PassTurn(int warpgroup) {
  asm volatile("bar.arrive %0, 256;" ::"r"(2 + (warpgroup + 1) % 4) : "memory");
}

/// Multiplies what the producers bring, and hands the products on.
template <typename Plan, Pass pass, DType kType, typename Sink>
__device__ void Consume(const KeyTiles<Plan, pass>& tiles, const Areas<Plan>& areas, int half,
                        int pair, int plane, Sink& sink) {
  const int first_tile = Plan::kTilesAtOnce == 2 ? pair : 0;
  const bool is_one = threadIdx.x % 32 == 0;
  const std::uint32_t queries =
      areas.queries + (kPlaneQueries * plane + (pass == Pass::kSums ? 64 * half : 0)) * 128;
  RingPlace<Plan::kStages, Plan::kTilesAtOnce> place(first_tile);
  WarpgroupProduct<kType> product;
  const int groups = tiles.groups();
  if (Plan::kTakesTurns && pair == 1 && half == 1) PassTurn(3);
  for (int group = 0; group < groups; ++group) {
    const std::int32_t first_key = tiles.FirstRow(group, first_tile);
    sink.Begin(first_key);
    if constexpr (Plan::kTakesTurns) AwaitTurn(2 * pair + half);
    int previous = 0;
#pragma unroll
    for (int chunk = 0; chunk < Plan::kChunks; ++chunk) {
      areas.ring.Full(place.stage()).Wait(place.parity());
      FenceForTensorCores();
      const std::uint32_t keys =
          areas.ring.Stage(place.stage()) + (pass == Pass::kShares ? 64 * half * 128 : 0);
      const std::uint64_t key_rows = ChunkRows(keys);
      const std::uint64_t query_rows = ChunkRows(queries + chunk * Plan::kQueryChunkBytes);
      product.BeginChunks();
      if constexpr (pass == Pass::kSums) {
        product.AddChunk(query_rows, key_rows, chunk == 0);
      } else {
        product.AddChunk(key_rows, query_rows, chunk == 0);
      }
      if (chunk > 0) {
        product.template Wait<1>();
        if (is_one) areas.ring.Empty(previous).Arrive();
        if (Plan::kTakesTurns && chunk == Plan::kChunks - 1) PassTurn(2 * pair + half);
      }
      previous = place.stage();
      place.Next();
    }
    product.template Wait<0>();
    if (is_one) areas.ring.Empty(previous).Arrive();
    if (first_key >= tiles.end()) continue;
    const bool ends_split =
        group % kSplitTiles == kSplitTiles - 1 || first_key + kTileKeys >= tiles.end();
    sink.Add(product.sums, first_key, ends_split);
  }
}

/// Brings the keys into shared memory as kType.
template <typename Plan, Pass pass, DType kType>
__device__ void Produce(DType dtype, const Head& head, const KeyTiles<Plan, pass>& tiles,
                        const Areas<Plan>& areas) {
  if constexpr (kType == DType::kF16 || Plan::kValues == kDsMlaValues) {
    constexpr DType kEightBits = kType == DType::kF16 ? DType::kF8E4M3 : DType::kF8DsMla;
    if (dtype == kEightBits) {
      EightBitStream<Plan, pass, kEightBits>(head, tiles, areas).Run();
      return;
    }
  }
  StreamKeys<Plan, pass>(head, tiles, areas);
}

template <typename Plan, Pass pass, DType kType>
__global__ __launch_bounds__(kThreads, 1) void PassKernel(AttentionScoreBatch batch,
                                                          Workspace workspace,
                                                          std::int32_t rows_per_block) {
  extern __shared__ __align__(1024) std::byte shared[];
  const AttentionScoreProblem problem = batch.problems[blockIdx.z];
  const std::int32_t begin = static_cast<std::int32_t>(blockIdx.y) * rows_per_block;
  if (begin >= problem.rows) return;
  const KeyTiles<Plan, pass> tiles(begin, begin + min(rows_per_block, problem.rows - begin));
  const int blocks_per_head = (QueriesPerHead(batch) + Plan::kQueries - 1) / Plan::kQueries;
  const Head head(batch, problem, static_cast<int>(blockIdx.x) / blocks_per_head);
  const int first_query = static_cast<int>(blockIdx.x) % blocks_per_head * Plan::kQueries;
  const Areas<Plan> areas(shared);
  if (threadIdx.x == 0) {
    areas.ring.Init(kProducers, (Plan::kTilesAtOnce == 2 ? kConsumers / 2 : kConsumers) / 32);
  }
  __syncthreads();
  if (threadIdx.x >= kConsumers) {
    Produce<Plan, pass, kType>(batch.shape.dtype, head, tiles, areas);
    return;
  }
  LoadQueries<Plan>(head, first_query, areas.queries);
  AwaitConsumers();
  const int half = static_cast<int>(threadIdx.x) / 128 % 2;
  const int pair = static_cast<int>(threadIdx.x) / 256;
  const int plane = Plan::kTilesAtOnce == 2 ? 0 : pair;
  if constexpr (pass == Pass::kSums) {
    SumsOfProducts<Plan> sink(batch, workspace, problem, head, areas, first_query, half, plane);
    Consume<Plan, pass, kType>(tiles, areas, half, pair, plane, sink);
  } else {
    SharesOfProducts<Plan> sink(batch, workspace, problem, head, areas, first_query, half, plane);
    Consume<Plan, pass, kType>(tiles, areas, half, pair, plane, sink);
  }
}

template <Pass pass, DType kType, int kDim, int kPlanes>
absl::Status LaunchPlan(const AttentionScoreBatch& batch, const Workspace& workspace,
                        cudaStream_t stream) {
  using ThePlan = Plan<kDim, kPlanes>;
  static_assert(ThePlan::kSharedBytes <= kMostSharedBytes && ThePlan::kStages >= 5);
  const auto kernel = PassKernel<ThePlan, pass, kType>;
  PB_RETURN_IF_ERROR(
      cuda::ToStatus(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                          ThePlan::kSharedBytes),
                     "attention score: shared memory"));
  int device = 0;
  int multiprocessors = 0;
  PB_RETURN_IF_ERROR(cuda::ToStatus(cudaGetDevice(&device), "attention score"));
  PB_RETURN_IF_ERROR(cuda::ToStatus(
      cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, device),
      "attention score"));
  const int blocks_per_head = (QueriesPerHead(batch) + ThePlan::kQueries - 1) / ThePlan::kQueries;
  const int columns = batch.shape.kv_heads * blocks_per_head;
  const std::int32_t rows = AttentionRowsPerBlock(
      batch.most_rows, std::int64_t{columns} * batch.count, ThePlan::kStepRows, multiprocessors);
  const dim3 grid(static_cast<unsigned>(columns),
                  static_cast<unsigned>((batch.most_rows + rows - 1) / rows),
                  static_cast<unsigned>(batch.count));
  kernel<<<grid, kThreads, ThePlan::kSharedBytes, stream>>>(batch, workspace, rows);
  return cuda::ToStatus(cudaGetLastError(), "attention score: keys");
}

template <Pass pass, DType kType>
absl::Status LaunchPassOf(const AttentionScoreBatch& batch, const Workspace& workspace,
                          cudaStream_t stream) {
  switch (batch.shape.key_dim) {
    case 32:
      return LaunchPlan<pass, kType, 32, 1>(batch, workspace, stream);
    case 64:
      return LaunchPlan<pass, kType, 64, 1>(batch, workspace, stream);
    case 128:
      return QueriesPerHead(batch) > kPlaneQueries
                 ? LaunchPlan<pass, kType, 128, 2>(batch, workspace, stream)
                 : LaunchPlan<pass, kType, 128, 1>(batch, workspace, stream);
    default:
      return LaunchPlan<pass, kType, 576, 1>(batch, workspace, stream);
  }
}

template <Pass pass>
absl::Status LaunchPass(const AttentionScoreBatch& batch, const Workspace& workspace,
                        cudaStream_t stream) {
  return AttentionQueryType(batch.shape.dtype) == DType::kF16
             ? LaunchPassOf<pass, DType::kF16>(batch, workspace, stream)
             : LaunchPassOf<pass, DType::kBF16>(batch, workspace, stream);
}

int PlanesPerHead(const AttentionScoreBatch& batch) {
  return (QueriesPerHead(batch) + kPlaneQueries - 1) / kPlaneQueries;
}

}  // namespace

const KeyPasses kWgmmaPasses{LaunchPass<Pass::kSums>, LaunchPass<Pass::kShares>, PlanesPerHead};

}  // namespace pinboard::kernels::attention_score
