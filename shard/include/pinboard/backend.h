// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Where a rank keeps its cache and computes.
#pragma once

#include <cstdint>

namespace pinboard {

/// An engine and its shard have the same backend.
///   kCpu: the cache and every tensor that the engine shows the shard are host memory, complete
///     when the call is made.
///   kCuda: both are memory of the current CUDA device. The engine's and the shard's work is
///     ordered on one stream that they share: a tensor is complete, and may be overwritten, in that
///     stream's order. Block tables, tokens and results are host memory either way.
enum class Backend : std::uint8_t { kCpu, kCuda };

}  // namespace pinboard
