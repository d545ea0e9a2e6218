// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// MergeTopK (merge_top_k.h) on the device.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "absl/status/status.h"

namespace pinboard::kernels {

/// All pointers: device memory.
struct MergeTopKBatch {
  const float* more_values = nullptr;      // [tokens, k]
  const std::int32_t* more_ids = nullptr;  // [tokens, k]
  int tokens = 0;
  int k = 0;
  float* values = nullptr;      // [tokens, k], in and out
  std::int32_t* ids = nullptr;  // [tokens, k], in and out
};

/// MergeTopK bit for bit, -0 as 0: a candidate's place is its own and the number of the other
/// list's that come before it. Stream-ordered; allocates nothing, never synchronises, can be
/// captured in a graph. The product that makes a chunk's logits is the caller's (LaunchTopKLogits
/// takes bf16). InvalidArgument: sizes that MergeTopK refuses. Unimplemented: k > kMaxDeviceTopK.
absl::Status LaunchMergeTopK(const MergeTopKBatch& batch, cudaStream_t stream);

}  // namespace pinboard::kernels
