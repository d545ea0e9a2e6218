// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// ExpectedAttention (expected_attention.h) for many layers and sequences at once, on the device.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "kernels/expected_attention/expected_attention.h"
#include "kernels/expected_attention/expected_attention_core.h"
#include "pinboard/kv_layout.h"
#include "pinboard/rotary.h"

namespace pinboard::kernels {

/// A rotary pair and the mean of its rotations over the positions to come, from position 0.
struct PairAhead {
  double frequency = 0.0;
  PlaneRotation mean;
};

/// Those of a model, made once: on the host, to be copied to the device.
std::vector<PairAhead> PairsAhead(const RotaryShape& rotary);

/// One layer of one sequence. Pointers: device memory.
struct ExpectedAttentionProblem {
  KvLayerView cache;
  const std::int32_t* block_table = nullptr;
  const std::int32_t* order = nullptr;            // [rows]: the rows of the results
  const float* queries = nullptr;                 // [window, query_heads, key_dim], rotated
  const std::int32_t* query_positions = nullptr;  // [window]
  std::int32_t* out = nullptr;                    // [rows]
  std::int32_t rows = 0;
  std::int32_t next_position = 0;  // the first position to come
};

struct ExpectedAttentionBatch {
  const ExpectedAttentionProblem* problems = nullptr;  // [count], device memory
  int count = 0;
  std::int32_t most_rows = 0;  // of a problem
  KvShape shape;
  int block_size = 0;
  int window = 0;
  int query_heads = 0;
  int total_query_heads = 0;
  float scale = 1.0F;
  const PairAhead* pairs = nullptr;  // [pair_count], device memory
  int pair_count = 0;
  int rotary_first_dim = 0;  // as RotaryShape
  bool rotary_interleaved = false;
  std::uint32_t* faults = nullptr;  // [1], grows by one for each head not finite
};

/// Bytes of device memory, 8-byte aligned, that LaunchExpectedAttention works in: for each problem
/// 8 a row and head (query and KV heads), 4 a value of the queries.
std::size_t ExpectedAttentionWorkspaceBytes(const ExpectedAttentionBatch& batch);

/// The shares of ExpectedAttention, each within 1e-5 of itself and one step of 2^-30: sines and
/// cosines are the device's, which may turn a query by one unit in the last place; from there on
/// the floats are the same, and sums over rows run in an order that the shapes fix. The same inputs
/// give the same integers. A head that is not finite is counted and leaves its problem's result
/// without meaning. Stream-ordered; allocates nothing, never synchronises, can be captured in a
/// graph. InvalidArgument: impossible sizes.
absl::Status LaunchExpectedAttention(const ExpectedAttentionBatch& batch, void* workspace,
                                     cudaStream_t stream);

}  // namespace pinboard::kernels
