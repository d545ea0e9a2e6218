// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The best token of a row of logits, on the device.
#pragma once

#include <cuda_runtime_api.h>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "engine/forward_pass.h"

namespace pinboard::engine {

/// Rows of one launch.
inline constexpr int kMostBestRows = 256;

/// best [rows.size()], device memory: of these rows (host memory) of logits [*, columns], device
/// memory; the first column where several are equal. Stream-ordered. Requires at most kMostBestRows
/// rows.
absl::Status LaunchFindBest(const float* logits, int columns, absl::Span<const int> rows,
                            BestLogit* best, cudaStream_t stream);

}  // namespace pinboard::engine
