// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The oracle's rotary frequencies, one pair at a time, in the terms of those who proposed them:
// wavelengths (Llama 3.1) and the ramp over dimensions (YaRN).
#pragma once

#include <algorithm>
#include <cmath>
#include <numbers>

#include "engine/rope_config.h"

namespace pinboard::engine::testing {

inline double Llama3Frequency(const RopeConfig& rope, double frequency) {
  const double length = rope.original_max_position_embeddings;
  const double wavelength = 2 * std::numbers::pi / frequency;
  if (wavelength < length / rope.high_freq_factor) return frequency;
  if (wavelength > length / rope.low_freq_factor) return frequency / rope.factor;
  const double smooth =
      (length / wavelength - rope.low_freq_factor) / (rope.high_freq_factor - rope.low_freq_factor);
  return (1 - smooth) * frequency / rope.factor + smooth * frequency;
}

inline double YarnFrequency(const RopeConfig& rope, double frequency, int pair, int pairs) {
  const auto dimension = [&](double turns) {
    const double length = rope.original_max_position_embeddings;
    return pairs * std::log(length / (turns * 2 * std::numbers::pi)) / std::log(rope.theta);
  };
  double low = dimension(rope.beta_fast), high = dimension(rope.beta_slow);
  if (rope.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  const double ramp = std::min(1.0, std::max(0.0, (pair - low) / (high - low)));
  return frequency / rope.factor * ramp + frequency * (1 - ramp);
}

/// Radians per position of the pair.
inline double PlainFrequency(const RopeConfig& rope, int pair, int pairs) {
  const double frequency = std::pow(rope.theta, -1.0 * pair / pairs);
  switch (rope.type) {
    case RopeType::kDefault:
      return frequency;
    case RopeType::kLinear:
      return frequency / rope.factor;
    case RopeType::kLlama3:
      return Llama3Frequency(rope, frequency);
    case RopeType::kYarn:
      return YarnFrequency(rope, frequency, pair, pairs);
  }
  return 0;
}

/// Of cosines and sines.
inline double PlainRotationScale(const RopeConfig& rope) {
  if (rope.type != RopeType::kYarn) return 1;
  const double log_factor = std::log(rope.factor);
  return rope.mscale_all_dim == 0
             ? 0.1 * log_factor + 1
             : (0.1 * rope.mscale * log_factor + 1) / (0.1 * rope.mscale_all_dim * log_factor + 1);
}

/// Of MLA's attention logits.
inline double PlainLatentScale(const RopeConfig& rope) {
  return std::pow(0.1 * rope.mscale_all_dim * std::log(rope.factor) + 1, 2);
}

}  // namespace pinboard::engine::testing
