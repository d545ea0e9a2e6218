// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// ProjectionSketch (projection_sketch.h) by SketchMatrix on the device.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "absl/status/status.h"
#include "pinboard/kv_layout.h"

namespace pinboard::kernels {

/// All pointers: device memory.
struct ProjectionSketchBatch {
  const void* hidden = nullptr;  // [tokens, dim] of `dtype`
  DType dtype = DType::kBF16;    // or kF32
  int tokens = 0;
  int dim = 0;
  int width = 0;
  float* sketch = nullptr;          // [tokens, width], out
  std::uint32_t* faults = nullptr;  // [1], grows where a token's state is not finite
};

/// What ProjectionSketch gives for the signs of SketchMatrix(dim, width), bit for bit: each sum
/// runs over dim in ascending order, and signs are made where they are needed. Stream-ordered;
/// allocates nothing, never synchronises, can be captured in a graph. Cost: tokens * dim * width
/// fused multiply-adds. InvalidArgument: sizes that ProjectionSketch refuses. Unimplemented:
/// states other than bf16 and f32.
absl::Status LaunchProjectionSketch(const ProjectionSketchBatch& batch, cudaStream_t stream);

}  // namespace pinboard::kernels
