// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The vocabulary in which a policy (scheduler/) tells the operations (kernels/) what to compute.
#pragma once

#include <cstdint>

namespace pinboard {

/// How a row's score is made from its signals (docs/method.md sections 2, 3 and 5).
enum class ScoreRule : std::uint8_t {
  kKeepAll,        // full: nothing is evicted
  kAttention,      // A
  kInformation,    // E
  kPublished,      // alpha * A + (1 - alpha) * softmax(E)
  kMaxNormalised,  // alpha * A / max A + (1 - alpha) * E / max E
  kDistinct,       // alpha * maxpool(A) - (1 - alpha) * R, R the redundancy of keys
  kRandom,         // a hash of (seed, layer, position)
  kRecency,        // position
};

/// Which queries the attention signal looks at.
enum class AttentionQueries : std::uint8_t {
  kNone,
  kWindow,
  kAll,
  kExpected,  // those to come, as the window lets expect them
};

/// What a token's information E is made of.
enum class InformationSignal : std::uint8_t {
  kProduct,  // (D + tau) * H
  kEntropy,  // H
  kShift,    // D
};

}  // namespace pinboard
