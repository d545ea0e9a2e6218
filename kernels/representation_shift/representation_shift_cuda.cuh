// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// RepresentationShift (representation_shift.h) on the device.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "absl/status/status.h"
#include "pinboard/kv_layout.h"

namespace pinboard::kernels {

/// All pointers: device memory.
struct RepresentationShiftBatch {
  const void* hidden = nullptr;        // [layers, tokens, dim] of `dtype`
  const void* final_hidden = nullptr;  // [tokens, dim] of `dtype`
  DType dtype = DType::kBF16;          // or kF32
  int tokens = 0;
  int dim = 0;
  float* shift = nullptr;           // [layers, tokens], out
  std::uint32_t* faults = nullptr;  // [1], grows by one for each result of a state not finite
  int layers = 1;
};

/// D of each token within 2^-23 of the exact cosine distance, in double and in an order that
/// depends on dim alone: the same bits on every rank. A token with a state that is not finite is
/// counted and gets NaN, in each layer that has one, in all where it is the final one.
/// Stream-ordered; allocates nothing, never synchronises. Reads each state once, fastest where rows
/// are multiples of 16 bytes. InvalidArgument: sizes that RepresentationShift refuses.
/// Unimplemented: states other than bf16 and f32.
absl::Status LaunchRepresentationShift(const RepresentationShiftBatch& batch, cudaStream_t stream);

}  // namespace pinboard::kernels
