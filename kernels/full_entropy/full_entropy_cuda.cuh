// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// EntropyParts and JoinedEntropy (full_entropy.h) on the device.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "absl/status/status.h"
#include "kernels/full_entropy/full_entropy.h"
#include "pinboard/kv_layout.h"

namespace pinboard::kernels {

/// All pointers: device memory.
struct EntropyPartsBatch {
  const void* logits = nullptr;  // [tokens, vocab_local] of `dtype`
  DType dtype = DType::kBF16;    // or kF32
  int tokens = 0;
  int vocab_local = 0;
  EntropyPart* parts = nullptr;  // [tokens], out
};

/// What EntropyParts gives but for rounding, that of `largest` included: each logit's exponential
/// is taken in single precision, so that an entropy of all parts is within 1e-4 nats of the CPU's.
/// The same bits in every run. Reads each logit once, twice where a row's largest is beyond 1e38 or
/// none. Stream-ordered; allocates nothing, never synchronises. InvalidArgument: negative sizes.
/// Unimplemented: logits other than bf16 and f32.
absl::Status LaunchEntropyParts(const EntropyPartsBatch& batch, cudaStream_t stream);

/// All pointers: device memory.
struct JoinedEntropyBatch {
  const EntropyPart* parts = nullptr;  // [ranks, tokens]
  int ranks = 0;
  int tokens = 0;
  float* entropy = nullptr;         // [tokens], out
  std::uint32_t* faults = nullptr;  // [1], grows by one for each token that JoinedEntropy refuses
};

/// JoinedEntropy bit for bit, NaN for a token that it refuses. Stream-ordered; allocates nothing,
/// never synchronises. InvalidArgument: negative sizes.
absl::Status LaunchJoinedEntropy(const JoinedEntropyBatch& batch, cudaStream_t stream);

}  // namespace pinboard::kernels
