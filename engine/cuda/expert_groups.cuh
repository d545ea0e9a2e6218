// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The slots of a step (expert_router.cuh) by expert, and the way back. Device memory,
// stream-ordered.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "absl/status/status.h"
#include "engine/cuda/expert_router.cuh"

namespace pinboard::engine {

/// Rows that a block multiplies: all of one expert.
struct ExpertTile {
  std::int32_t expert;
  std::int32_t first;  // among the rows
  std::int32_t rows;
};

/// Rows are slots, those of one expert after another, in any order within it: what is computed of a
/// row depends on no other.
struct ExpertGroups {
  std::int32_t* slot_of_row = nullptr;  // [slots]
  ExpertTile* tiles = nullptr;          // [MostExpertTiles]; those beyond the last have no rows
};

/// Tiles of up to tile_rows rows that `slots` slots of `experts` experts can need.
constexpr int MostExpertTiles(int slots, int experts, int tile_rows) {
  return slots / tile_rows + (slots < experts ? slots : experts);
}

absl::Status LaunchGroupByExpert(const std::int32_t* experts_of_slots, int slots, int experts,
                                 int tile_rows, const ExpertGroups& groups, cudaStream_t stream);

/// out [tokens, width] = the sum over a token's slots, in their order, of weight * made [slots,
/// width]; with `accumulate` added to it.
absl::Status LaunchSumExperts(const float* made, const float* weights, int tokens,
                              int experts_per_token, int width, bool accumulate, float* out,
                              cudaStream_t stream);

}  // namespace pinboard::engine
