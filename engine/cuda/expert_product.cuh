// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The products of many experts, each with its own rows, in one launch: which rows only the device
// knows. Device memory, stream-ordered; bf16 values as their bits, products summed in float by the
// tensor cores.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "absl/status/status.h"
#include "engine/cuda/expert_groups.cuh"

namespace pinboard::engine {

/// One expert's matrices: gate and up [columns, hidden], down [hidden, columns].
struct ExpertMatrices {
  const std::uint16_t* gate;
  const std::uint16_t* up;
  const std::uint16_t* down;
};

struct ExpertStep {
  const ExpertMatrices* experts = nullptr;  // [expert_count]
  int expert_count = 0;
  int experts_per_token = 0;
  int hidden = 0;
  int columns = 0;  // of this rank
  int slots = 0;
  ExpertGroups groups;
};

/// Rows of a tile: few where an expert has few slots.
constexpr int ExpertTileRows(int slots, int experts) { return slots <= 16 * experts ? 16 : 64; }

/// activated [row, columns] = silu(gate x) * (up x), rounded, for x = normed [tokens, hidden] of
/// the row's token.
absl::Status LaunchActivateExperts(const ExpertStep& step, const std::uint16_t* normed,
                                   std::uint16_t* activated, cudaStream_t stream);

/// out [slot, hidden] = down activated[row], at the row's slot.
absl::Status LaunchDownExperts(const ExpertStep& step, const std::uint16_t* activated, float* out,
                               cudaStream_t stream);

}  // namespace pinboard::engine
