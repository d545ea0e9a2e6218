// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Which experts a token is given to (engine/expert_router.h), on the device.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "absl/status/status.h"
#include "engine/moe_config.h"

namespace pinboard::engine {

inline constexpr int kMostExperts = 512;

/// Of token t the j-th best expert, and its weight, stand at slot t * experts_per_token + j.
struct ExpertSlots {
  std::int32_t* experts = nullptr;  // [tokens, experts_per_token]
  float* weights = nullptr;         // likewise
};

/// gate [experts, hidden] and normed [tokens, hidden] in bf16, gate_bias [experts] in float; device
/// memory, stream-ordered. Sums are in float, in an order that hidden alone decides: a token's
/// experts are the same on every rank, in every batch. Requires CheckExperts.
absl::Status LaunchRouteExperts(const MoeConfig& config, const std::uint16_t* gate,
                                const float* gate_bias, const std::uint16_t* normed, int tokens,
                                int hidden, const ExpertSlots& slots, cudaStream_t stream);

/// Unimplemented, naming the number, where there are more than kMostExperts, or `hidden` is odd.
absl::Status CheckExperts(const MoeConfig& config, int hidden);

}  // namespace pinboard::engine
