// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// EvictedAttention (evicted_attention.h) for many layers and sequences at once, on the device.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "kernels/evicted_attention/evicted_attention.h"
#include "kernels/page_digest/page_digest_cuda.cuh"
#include "pinboard/kv_layout.h"

namespace pinboard::kernels {

/// One query of one layer of one sequence, with the promises of EvictedAttentionArgs: at least one
/// row is attended to, all are in the block table, evicted pages have digests. Pointers: device
/// memory.
struct EvictedAttentionProblem {
  KvLayerView cache;
  const std::int32_t* block_table = nullptr;
  DeviceDigests digests;
  const std::int32_t* evicted = nullptr;  // [evicted_count], indices into the digests
  const float* query = nullptr;           // [query_heads, key_dim]
  std::int32_t rows = 0;                  // attended: physical rows [0, rows)
  std::int32_t ring_rows = 0;             // the first of them came back
  std::int32_t evicted_count = 0;
};

struct EvictedAttentionBatch {
  const EvictedAttentionProblem* problems = nullptr;  // [count], device memory
  EvictedAttentionResult* results = nullptr;          // [count], device memory, out
  int count = 0;
  std::int32_t most_ring_rows = 0;  // of a problem
  KvShape shape;
  int block_size = 0;
  int query_heads = 0;
  float attention_scale = 1.0F;
  std::uint32_t* faults = nullptr;  // [1], grows by one for each head of a problem not finite
};

/// Bytes of device memory, 8-byte aligned, that LaunchEvictedAttention works in.
std::size_t EvictedAttentionWorkspaceBytes(const EvictedAttentionBatch& batch);

/// EvictedAttention in double, within 1e-9 of the share and with the ring rows whose attention is
/// not that near to kAttendedShare. Sums run in an order that the shapes fix: the same inputs give
/// the same bits. A head that is not finite is counted and leaves its problem's result without
/// meaning. Stream-ordered; allocates nothing, never synchronises, can be captured in a graph.
/// InvalidArgument: impossible sizes.
absl::Status LaunchEvictedAttention(const EvictedAttentionBatch& batch, void* workspace,
                                    cudaStream_t stream);

}  // namespace pinboard::kernels
