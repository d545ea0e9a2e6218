// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "engine/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

namespace pinboard::engine {

namespace {

double Mixed(double frequency, double factor, double scaled_share) {
  return frequency * ((1 - scaled_share) + scaled_share / factor);
}

/// The pair, as a real number, that makes `turns` turns within the original length.
double PairOfTurns(const RopeConfig& rope, int dim, double turns) {
  const double per_radian = rope.original_max_position_embeddings / (2 * std::numbers::pi * turns);
  return dim * std::log(per_radian) / (2 * std::log(rope.theta));
}

/// The first and the last pair of YaRN's ramp.
std::pair<double, double> YarnRamp(const RopeConfig& rope, int dim) {
  double first = PairOfTurns(rope, dim, rope.beta_fast);
  double last = PairOfTurns(rope, dim, rope.beta_slow);
  if (rope.truncate) {
    first = std::floor(first);
    last = std::ceil(last);
  }
  first = std::max(first, 0.0);
  last = std::min(last, dim - 1.0);
  constexpr double kNarrowest = 0.001;  // as transformers has it: a step, not a division by zero
  return {first, first == last ? last + kNarrowest : last};
}

}  // namespace

std::vector<double> RopeFrequencies(const RopeConfig& rope, int dim) {
  std::vector<double> frequencies(dim / 2);
  for (int i = 0; i < dim / 2; ++i) frequencies[i] = std::pow(rope.theta, -2.0 * i / dim);
  if (rope.type == RopeType::kLinear) {
    for (double& frequency : frequencies) frequency /= rope.factor;
  }
  if (rope.type == RopeType::kLlama3) {
    for (double& frequency : frequencies) {
      const double turns =
          rope.original_max_position_embeddings * frequency / (2 * std::numbers::pi);
      const double scaled =
          (rope.high_freq_factor - turns) / (rope.high_freq_factor - rope.low_freq_factor);
      frequency = Mixed(frequency, rope.factor, std::clamp(scaled, 0.0, 1.0));
    }
  }
  if (rope.type == RopeType::kYarn) {
    const auto [first, last] = YarnRamp(rope, dim);
    for (int i = 0; i < dim / 2; ++i) {
      const double scaled = std::clamp((i - first) / (last - first), 0.0, 1.0);
      frequencies[i] = Mixed(frequencies[i], rope.factor, scaled);
    }
  }
  return frequencies;
}

RopeTable::RopeTable(int dim, const RopeConfig& rope, bool interleaved)
    : pairs_(dim / 2),
      pair_stride_(interleaved ? 2 : 1),
      partner_offset_(interleaved ? 1 : dim / 2),
      scale_(rope.RotationScale()),
      frequencies_(RopeFrequencies(rope, dim)) {}

void RopeTable::SetPositions(absl::Span<const std::int32_t> positions) {
  cosines_.clear();
  sines_.clear();
  for (const std::int32_t position : positions) {
    for (const double frequency : frequencies_) {
      cosines_.push_back(static_cast<float>(scale_ * std::cos(position * frequency)));
      sines_.push_back(static_cast<float>(scale_ * std::sin(position * frequency)));
    }
  }
}

void RopeTable::Rotate(int token, int heads, int stride, float* vectors) const {
  const float* cosines = cosines_.data() + static_cast<std::size_t>(token) * pairs_;
  const float* sines = sines_.data() + static_cast<std::size_t>(token) * pairs_;
  for (int head = 0; head < heads; ++head, vectors += stride) {
    for (int i = 0; i < pairs_; ++i) {
      float& first = vectors[i * pair_stride_];
      float& second = vectors[i * pair_stride_ + partner_offset_];
      const float rotated = first * cosines[i] - second * sines[i];
      second = second * cosines[i] + first * sines[i];
      first = rotated;
    }
  }
}

}  // namespace pinboard::engine
