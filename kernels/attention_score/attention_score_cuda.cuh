// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// AttentionScore (attention_score.h) for many layers and sequences at once, on the device.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "pinboard/kv_layout.h"

namespace pinboard::kernels {

/// The type that keys are multiplied in, and that their queries come in: f16 for keys in f16 and
/// e4m3, bf16 for all others.
constexpr DType AttentionQueryType(DType keys) {
  return keys == DType::kF16 || keys == DType::kF8E4M3 ? DType::kF16 : DType::kBF16;
}

/// One layer of one sequence. Pointers: device memory.
struct AttentionScoreProblem {
  KvLayerView cache;  // keys 16-byte aligned
  const std::int32_t* block_table = nullptr;
  const std::int32_t* row_positions = nullptr;  // [rows], physical
  const std::int32_t* order = nullptr;          // [rows]: physical rows by ascending position
  /// [window, query_heads, key_dim] of AttentionQueryType, 16-byte aligned.
  const std::uint16_t* queries = nullptr;
  const std::int32_t* query_positions = nullptr;  // [window]
  /// [window, query_heads]: AttentionScoreArgs'; null: computed here, in a pass of its own over the
  /// keys.
  const float* log_sum_exp = nullptr;
  std::int32_t* out = nullptr;  // [rows], in the order of positions
  std::int32_t rows = 0;
};

struct AttentionScoreBatch {
  const AttentionScoreProblem* problems = nullptr;  // [count], device memory
  int count = 0;
  std::int32_t most_rows = 0;  // of a problem
  KvShape shape;
  int block_size = 0;
  int window = 0;
  int query_heads = 0;
  int total_query_heads = 0;
  float scale = 1.0F;
  int pool = 1;                  // odd, at most kMaxDevicePool
  bool has_log_sum_exp = false;  // every problem's is given
  /// [1], grows by one for each row without a share: by some where AttentionScore refuses a query,
  /// a key or a log-sum-exp, by none where it does not.
  std::uint32_t* faults = nullptr;
};

inline constexpr int kMaxDevicePool = 255;

/// Bytes of device memory, 16-byte aligned, that LaunchAttentionScore works in: 4 for each row and
/// 128 queries of a KV head, and 4 a query, or 12 and more where the log-sum-exp is computed (8 for
/// each 1,024 rows).
std::size_t AttentionScoreWorkspaceBytes(const AttentionScoreBatch& batch);

/// The shares of AttentionScore, each within 2^-14 of itself and 2^-30 of that of exact arithmetic
/// on the same queries and keys: their products are summed in float by the tensor cores, in an
/// order that depends on the shapes and the device's architecture alone, so there the same
/// inputs give the same integers. One pass over the keys given the log-sum-exp, two without.
/// Stream-ordered; allocates nothing, never synchronises, can be captured in a graph.
/// InvalidArgument: impossible sizes. Unimplemented: f32 keys, keys of other than 32, 64, 128 or
/// 576 values, and in kF8DsMla of other than 512 + 64.
absl::Status LaunchAttentionScore(const AttentionScoreBatch& batch, void* workspace,
                                  cudaStream_t stream);

}  // namespace pinboard::kernels
