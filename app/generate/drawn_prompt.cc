// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "app/generate/drawn_prompt.h"

#include <random>

namespace pinboard::app {

std::vector<std::int32_t> DrawPrompt(int tokens, int vocab_size, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<std::int32_t> ids(tokens);
  for (std::int32_t& id : ids) id = static_cast<std::int32_t>(random() % vocab_size);
  return ids;
}

}  // namespace pinboard::app
