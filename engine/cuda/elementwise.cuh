// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The forward pass's loops over single rows (engine/elementwise.h), on the device. Stream-ordered;
// device memory; bf16 values as their bits.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "absl/status/status.h"

namespace pinboard::engine {

/// This rank's rows [first_row, first_row + rows) of a table [rows, width] of bf16.
struct EmbeddingRows {
  const std::uint16_t* table = nullptr;
  std::int32_t first_row = 0;
  std::int32_t rows = 0;
  std::int32_t width = 0;
};
/// out [tokens, width]: the rows of the table; zeros where another rank has them.
absl::Status LaunchEmbed(const EmbeddingRows& embedding, const std::int32_t* tokens, int count,
                         float* out, cudaStream_t stream);

/// out [rows, dim] = in / sqrt(mean(in^2) + eps) * weight, rounded to bf16. Sums are in float.
absl::Status LaunchRmsNorm(const float* in, const float* weight, float eps, int rows, int dim,
                           std::uint16_t* out, cudaStream_t stream);

/// out[i] = silu(gate[i]) * up[i], rounded to bf16.
absl::Status LaunchSiluTimes(const float* gate, const float* up, std::int64_t count,
                             std::uint16_t* out, cudaStream_t stream);

/// target[i] += source[i]
absl::Status LaunchAdd(const float* source, std::int64_t count, float* target, cudaStream_t stream);

}  // namespace pinboard::engine
