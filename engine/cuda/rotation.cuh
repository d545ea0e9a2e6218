// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Rotary position embedding (engine/rope.h), and what follows it: rows into the cache. Device
// memory, stream-ordered; bf16 values as their bits.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "absl/status/status.h"
#include "engine/cuda/device_batch.cuh"
#include "pinboard/kv_layout.h"

namespace pinboard::engine {

/// Cosines and sines of the tokens of one step.
struct RotationTable {
  const float2* turns = nullptr;  // [tokens, pairs]: (cosine, sine)
  int pairs = 0;
  bool interleaved = false;  // pair i is (2 i, 2 i + 1), and not (i, i + pairs)
};

/// turns[t, i] = scale * (cos, sin)(positions[t] * frequencies[i]), the angle in double.
absl::Status LaunchRotationTable(const double* frequencies, int pairs, double scale,
                                 const std::int32_t* positions, int tokens, float2* turns,
                                 cudaStream_t stream);

/// Adds bias [heads, 2 pairs] (null: none) to vectors [tokens, heads, 2 pairs] and rotates them, in
/// place.
absl::Status LaunchRotate(const RotationTable& table, const float* bias, int tokens, int heads,
                          float* vectors, cudaStream_t stream);

/// A layer's cache, and where the step's tokens go.
struct CacheTarget {
  KvLayerView cache;  // bf16
  KvShape shape;
  LayerBatch batch;
  int block_size = 0;
};

/// keys and values [tokens, kv_heads, 2 pairs] plus their biases [kv_heads, 2 pairs] (null: none);
/// keys are rotated. Both are rounded and written to their rows.
struct GroupedRows {
  const float* keys = nullptr;
  const float* values = nullptr;
  const float* key_bias = nullptr;
  const float* value_bias = nullptr;
};
absl::Status LaunchWriteGroupedRows(const CacheTarget& target, const RotationTable& table,
                                    const GroupedRows& rows, cudaStream_t stream);

/// latents [tokens, key_dim]: the first value_dim values are normalised (RMS, times weight), the
/// others rotated; rounded and written to their rows.
absl::Status LaunchWriteLatentRows(const CacheTarget& target, const RotationTable& table,
                                   const float* latents, const float* norm_weight, float eps,
                                   cudaStream_t stream);

/// Parts MLA's queries [tokens, heads, nope + 2 pairs]: the first `nope` values, rounded, to
/// unrotated [tokens, heads, nope]; the others, rotated, to the end of absorbed [tokens, heads,
/// latent + 2 pairs].
struct LatentQueries {
  const float* queries = nullptr;
  std::uint16_t* unrotated = nullptr;
  float* absorbed = nullptr;
  int heads = 0;
  int nope = 0;
  int latent = 0;
};
absl::Status LaunchPartLatentQueries(const RotationTable& table, const LatentQueries& queries,
                                     int tokens, cudaStream_t stream);

}  // namespace pinboard::engine
