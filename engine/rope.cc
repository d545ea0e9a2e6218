// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "engine/rope.h"

#include <cmath>

namespace pinboard::engine {

RopeTable::RopeTable(int dim, double theta, bool interleaved)
    : pairs_(dim / 2),
      pair_stride_(interleaved ? 2 : 1),
      partner_offset_(interleaved ? 1 : dim / 2) {
  for (int i = 0; i < pairs_; ++i) frequencies_.push_back(std::pow(theta, -2.0 * i / dim));
}

void RopeTable::SetPositions(absl::Span<const std::int32_t> positions) {
  cosines_.clear();
  sines_.clear();
  for (const std::int32_t position : positions) {
    for (const double frequency : frequencies_) {
      cosines_.push_back(static_cast<float>(std::cos(position * frequency)));
      sines_.push_back(static_cast<float>(std::sin(position * frequency)));
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
