// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The KV-cache memory of one sequence: all of it, and what a round leaves.
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "app/size/attention_shape.h"
#include "app/size/row_format.h"
#include "scheduler/round_plan.h"

namespace pinboard::app {

inline constexpr int kMaxContextTokens = 1 << 27;

struct MemoryRequest {
  AttentionShape model;
  RowFormat format = RowFormat::kBF16;
  int tp = 1;      // GPUs
  int tokens = 0;  // [1, kMaxContextTokens]
  scheduler::BudgetOptions budget;
};

/// Bytes are over all layers; gpu_: on each GPU. KV heads that are fewer than the GPUs lie on
/// several of them, and MLA's latent on every one.
struct MemoryPlan {
  int kv_replicas = 1;            // GPUs that hold the same rows
  std::uint64_t token_bytes = 0;  // of one token, every KV head once
  std::uint64_t gpu_token_bytes = 0;
  std::uint64_t gpu_full_bytes = 0;  // the whole context, in whole blocks

  /// After the first round, which the scheduler plans (scheduler/round_plan.h). `compressed` false:
  /// it gains nothing and keeps everything.
  bool compressed = false;
  int kept_rows = 0;                     // per layer
  int ring_rows = 0;                     // per layer, at most
  int band_pages = 0;                    // per layer, at most
  std::uint64_t gpu_resident_bytes = 0;  // kept rows and ring, in whole blocks
  std::uint64_t gpu_digest_bytes = 0;    // of all pages of the band
  std::uint64_t band_bytes = 0;          // in host memory: one copy for all GPUs

  std::uint64_t gpu_compressed_bytes() const { return gpu_resident_bytes + gpu_digest_bytes; }
};

/// Rows in a block of the KV cache, and the rows that every policy protects, are the programs'
/// defaults: 16, and 4 sinks with a window of 64. InvalidArgument, one line: tp does not divide the
/// heads, an option of the budget or `tokens` is out of its range, the model has no fp8 row, or a
/// token would take more than 1 GiB.
absl::StatusOr<MemoryPlan> PlanMemory(const MemoryRequest& request);

}  // namespace pinboard::app
