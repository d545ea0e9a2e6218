// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Prompts without a meaning, for tests of load.
#pragma once

#include <cstdint>
#include <vector>

namespace pinboard::app {

/// The longest that may be asked for, in tokens.
inline constexpr int kMostDrawnTokens = 1 << 20;

/// `tokens` ids below `vocab_size`: the same for the same seed, on every rank.
std::vector<std::int32_t> DrawPrompt(int tokens, int vocab_size, std::uint64_t seed);

}  // namespace pinboard::app
