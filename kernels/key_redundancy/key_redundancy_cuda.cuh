// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// KeyRedundancy (key_redundancy.h) for many layers and sequences at once, on the device.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "pinboard/kv_layout.h"

namespace pinboard::kernels {

/// One layer of one sequence. Pointers: device memory.
struct KeyRedundancyProblem {
  KvLayerView cache;
  const std::int32_t* block_table = nullptr;
  const std::int32_t* order = nullptr;  // [rows]: the physical rows by ascending position
  std::int32_t* out = nullptr;          // [rows]
  std::int32_t rows = 0;
};

struct KeyRedundancyBatch {
  const KeyRedundancyProblem* problems = nullptr;  // [count], device memory
  int count = 0;
  std::int32_t most_rows = 0;  // of a problem
  KvShape shape;
  int block_size = 0;
  int total_kv_heads = 0;
  std::uint32_t* faults = nullptr;  // [1], grows by one for each key not finite
};

/// Bytes of device memory, 8-byte aligned, that LaunchKeyRedundancy works in: for each problem and
/// KV head 24 a row and 8 a value of a key.
std::size_t KeyRedundancyWorkspaceBytes(const KeyRedundancyBatch& batch);

/// The shares of KeyRedundancy to one step of 2^-30: rows are similar by the same floats, and sums
/// over rows are of integers of 2^-40 of a cosine, in any order, so the same inputs give the same
/// integers. A key that is not finite is counted and taken as zeros. Stream-ordered; allocates
/// nothing, never synchronises, can be captured in a graph. InvalidArgument: impossible sizes.
absl::Status LaunchKeyRedundancy(const KeyRedundancyBatch& batch, void* workspace,
                                 cudaStream_t stream);

}  // namespace pinboard::kernels
