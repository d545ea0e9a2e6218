// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "base/cuda/cuda_status.h"
#include "base/dtype.h"
#include "engine/cuda/block_sum.cuh"
#include "engine/cuda/element_threads.cuh"
#include "engine/cuda/rotation.cuh"

namespace pinboard::engine {
namespace {

constexpr int kThreads = 128;

/// Where the two values of a pair stand in a vector.
struct PairAt {
  int first;
  int second;
};
__device__ PairAt PlaceOf(const RotationTable& table, int pair) {
  if (table.interleaved) return {2 * pair, 2 * pair + 1};
  return {pair, pair + table.pairs};
}

__device__ float2 Rotated(const RotationTable& table, int token, int pair, float first,
                          float second) {
  const float2 turn = table.turns[std::int64_t{token} * table.pairs + pair];
  return make_float2(first * turn.x - second * turn.y, second * turn.x + first * turn.y);
}

__device__ float ValueOrZero(const float* values, std::int64_t index) {
  return values == nullptr ? 0.0F : values[index];
}

/// The row of a plane that a token of the step goes to.
__device__ std::uint16_t* RowOf(const CacheTarget& target, const KvPlane& plane, int token,
                                int head) {
  const LayerEntry& entry = target.batch.entries[target.batch.entry_of_token[token]];
  const int row = entry.resident_rows + token - entry.first_token;
  return reinterpret_cast<std::uint16_t*>(
      plane.base + entry.blocks[row / target.block_size] * plane.block_stride +
      row % target.block_size * plane.token_stride + head * plane.head_stride);
}

__global__ void RotationTableKernel(const double* frequencies, int pairs, double scale,
                                    const std::int32_t* positions, std::int64_t count,
                                    float2* turns) {
  const std::int64_t i = ElementIndex<kThreads>();
  if (i >= count) return;
  double sine = 0.0, cosine = 0.0;
  sincos(positions[i / pairs] * frequencies[i % pairs], &sine, &cosine);
  turns[i] = make_float2(static_cast<float>(scale * cosine), static_cast<float>(scale * sine));
}

/// A thread a pair.
__global__ void RotateKernel(RotationTable table, const float* bias, std::int64_t count, int heads,
                             float* vectors) {
  const std::int64_t i = ElementIndex<kThreads>();
  if (i >= count) return;
  const int pair = static_cast<int>(i % table.pairs);
  const std::int64_t vector = i / table.pairs;
  const PairAt at = PlaceOf(table, pair);
  const std::int64_t bias_at = vector % heads * 2 * table.pairs;
  float* const values = vectors + vector * 2 * table.pairs;
  const float2 rotated = Rotated(table, static_cast<int>(vector / heads), pair,
                                 values[at.first] + ValueOrZero(bias, bias_at + at.first),
                                 values[at.second] + ValueOrZero(bias, bias_at + at.second));
  values[at.first] = rotated.x;
  values[at.second] = rotated.y;
}

/// A thread a pair of a key and the values at the same places.
__global__ void WriteGroupedKernel(CacheTarget target, RotationTable table, GroupedRows rows,
                                   std::int64_t count) {
  const std::int64_t i = ElementIndex<kThreads>();
  if (i >= count) return;
  const int pair = static_cast<int>(i % table.pairs);
  const std::int64_t vector = i / table.pairs;
  const int head = static_cast<int>(vector % target.shape.kv_heads);
  const int token = static_cast<int>(vector / target.shape.kv_heads);
  const PairAt at = PlaceOf(table, pair);
  const std::int64_t from = vector * 2 * table.pairs;
  const std::int64_t bias_at = std::int64_t{head} * 2 * table.pairs;
  const float2 key =
      Rotated(table, token, pair,
              rows.keys[from + at.first] + ValueOrZero(rows.key_bias, bias_at + at.first),
              rows.keys[from + at.second] + ValueOrZero(rows.key_bias, bias_at + at.second));
  std::uint16_t* const key_row = RowOf(target, target.cache.key, token, head);
  key_row[at.first] = FloatToBFloat16(key.x);
  key_row[at.second] = FloatToBFloat16(key.y);
  std::uint16_t* const value_row = RowOf(target, target.cache.value, token, head);
  for (const int place : {at.first, at.second}) {
    value_row[place] =
        FloatToBFloat16(rows.values[from + place] + ValueOrZero(rows.value_bias, bias_at + place));
  }
}

/// A block a token.
__global__ __launch_bounds__(kThreads) void WriteLatentKernel(CacheTarget target,
                                                              RotationTable table,
                                                              const float* latents,
                                                              const float* norm_weight, float eps) {
  const auto token = static_cast<int>(blockIdx.x);
  const int latent = target.shape.value_dim;
  const float* const from = latents + std::int64_t{token} * target.shape.key_dim;
  std::uint16_t* const to = RowOf(target, target.cache.key, token, 0);
  float squares = 0.0F;
  for (int i = static_cast<int>(threadIdx.x); i < latent; i += kThreads) {
    squares = __fmaf_rn(from[i], from[i], squares);
  }
  const float scale = rsqrtf(BlockSum<kThreads>(squares) / static_cast<float>(latent) + eps);
  for (int i = static_cast<int>(threadIdx.x); i < latent; i += kThreads) {
    to[i] = FloatToBFloat16(from[i] * scale * norm_weight[i]);
  }
  for (int pair = static_cast<int>(threadIdx.x); pair < table.pairs; pair += kThreads) {
    const PairAt at = PlaceOf(table, pair);
    const float2 rotated =
        Rotated(table, token, pair, from[latent + at.first], from[latent + at.second]);
    to[latent + at.first] = FloatToBFloat16(rotated.x);
    to[latent + at.second] = FloatToBFloat16(rotated.y);
  }
}

/// A block a token's head.
__global__ __launch_bounds__(kThreads) void PartQueriesKernel(RotationTable table,
                                                              LatentQueries queries) {
  const std::int64_t vector = blockIdx.x;
  const float* const from = queries.queries + vector * (queries.nope + 2 * table.pairs);
  std::uint16_t* const unrotated = queries.unrotated + vector * queries.nope;
  float* const rotary =
      queries.absorbed + vector * (queries.latent + 2 * table.pairs) + queries.latent;
  for (int i = static_cast<int>(threadIdx.x); i < queries.nope; i += kThreads) {
    unrotated[i] = FloatToBFloat16(from[i]);
  }
  for (int pair = static_cast<int>(threadIdx.x); pair < table.pairs; pair += kThreads) {
    const PairAt at = PlaceOf(table, pair);
    const float2 rotated = Rotated(table, static_cast<int>(vector / queries.heads), pair,
                                   from[queries.nope + at.first], from[queries.nope + at.second]);
    rotary[at.first] = rotated.x;
    rotary[at.second] = rotated.y;
  }
}

}  // namespace

absl::Status LaunchRotationTable(const double* frequencies, int pairs, double scale,
                                 const std::int32_t* positions, int tokens, float2* turns,
                                 cudaStream_t stream) {
  const std::int64_t count = std::int64_t{tokens} * pairs;
  RotationTableKernel<<<ElementGrid<kThreads>(count), kThreads, 0, stream>>>(
      frequencies, pairs, scale, positions, count, turns);
  return cuda::ToStatus(cudaGetLastError(), "rotation table");
}

absl::Status LaunchRotate(const RotationTable& table, const float* bias, int tokens, int heads,
                          float* vectors, cudaStream_t stream) {
  const std::int64_t count = std::int64_t{tokens} * heads * table.pairs;
  RotateKernel<<<ElementGrid<kThreads>(count), kThreads, 0, stream>>>(table, bias, count, heads,
                                                                      vectors);
  return cuda::ToStatus(cudaGetLastError(), "rotation");
}

absl::Status LaunchWriteGroupedRows(const CacheTarget& target, const RotationTable& table,
                                    const GroupedRows& rows, cudaStream_t stream) {
  const std::int64_t count =
      std::int64_t{target.batch.tokens} * target.shape.kv_heads * table.pairs;
  WriteGroupedKernel<<<ElementGrid<kThreads>(count), kThreads, 0, stream>>>(target, table, rows,
                                                                            count);
  return cuda::ToStatus(cudaGetLastError(), "rows to the cache");
}

absl::Status LaunchWriteLatentRows(const CacheTarget& target, const RotationTable& table,
                                   const float* latents, const float* norm_weight, float eps,
                                   cudaStream_t stream) {
  WriteLatentKernel<<<static_cast<unsigned>(target.batch.tokens), kThreads, 0, stream>>>(
      target, table, latents, norm_weight, eps);
  return cuda::ToStatus(cudaGetLastError(), "latents to the cache");
}

absl::Status LaunchPartLatentQueries(const RotationTable& table, const LatentQueries& queries,
                                     int tokens, cudaStream_t stream) {
  PartQueriesKernel<<<static_cast<unsigned>(tokens) * static_cast<unsigned>(queries.heads),
                      kThreads, 0, stream>>>(table, queries);
  return cuda::ToStatus(cudaGetLastError(), "latent queries");
}

}  // namespace pinboard::engine
