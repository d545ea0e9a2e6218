// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// TopKLogits and MergedEntropy (entropy.h) on the device.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "absl/status/status.h"
#include "kernels/entropy/entropy.h"
#include "pinboard/kv_layout.h"

namespace pinboard::kernels {

/// The largest k that the device keeps a row's candidates for, and the most parts it merges.
inline constexpr int kMaxDeviceTopK = 512;
inline constexpr int kMaxDeviceParts = 16;

/// All pointers: device memory.
struct TopKLogitsBatch {
  const void* logits = nullptr;  // [tokens, vocab_local] of `dtype`
  DType dtype = DType::kBF16;    // or kF32
  int tokens = 0;
  int vocab_local = 0;
  int vocab_begin = 0;
  int k = 0;
  float* values = nullptr;          // [tokens, k], out
  std::int32_t* ids = nullptr;      // [tokens, k], out
  std::uint32_t* faults = nullptr;  // [1], grows by one for each token with a NaN among its logits
};

/// What TopKLogits gives, -0 as 0; a NaN is counted and leaves its token's results without meaning.
/// Stream-ordered; allocates nothing, never synchronises. A block streams a row past a threshold
/// that it guesses from a sample of the row; it rises to the k-th largest logit seen so far each
/// time the buffer of candidates is full, and where fewer than k logits passed, the row is read
/// again. Where registers hold the row (bf16, up to 16,384 columns, multiples of 16 bytes) and k is
/// at most 256, its threshold comes from the largest logits of 512 groups instead. Candidates are
/// ordered by unique keys (CandidateKey), so neither the threshold nor the order in which threads
/// find them leaves a trace. Fastest where rows are multiples of 16 bytes.
/// InvalidArgument: sizes that TopKLogits refuses. Unimplemented: k > kMaxDeviceTopK, or
/// logits other than bf16 and f32.
absl::Status LaunchTopKLogits(const TopKLogitsBatch& batch, cudaStream_t stream);

/// All pointers: device memory.
struct MergedEntropyBatch {
  const float* values = nullptr;  // [parts, tokens, k], each row descending
  int parts = 0;
  int tokens = 0;
  int k = 0;
  EntropyUnit unit = EntropyUnit::kNats;
  float* entropy = nullptr;         // [tokens], out
  std::uint32_t* faults = nullptr;  // [1], grows by one for each token that MergedEntropy refuses
};

/// MergedEntropy bit for bit: the k largest of all parts are ranked by counting, their terms taken
/// side by side and added up in descending order. Stream-ordered; allocates nothing, never
/// synchronises. InvalidArgument: sizes that MergedEntropy refuses. Unimplemented: k >
/// kMaxDeviceTopK, or more than kMaxDeviceParts parts.
absl::Status LaunchMergedEntropy(const MergedEntropyBatch& batch, cudaStream_t stream);

}  // namespace pinboard::kernels
