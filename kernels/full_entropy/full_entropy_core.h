// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/host_device.h"
#include "kernels/full_entropy/full_entropy.h"
#include "kernels/portable_math.h"

namespace pinboard::kernels {

/// The part of the logits of both.
PB_HOST_DEVICE inline EntropyPart Joined(const EntropyPart& a, const EntropyPart& b) {
  if (a.sum == 0.0) return b;
  if (b.sum == 0.0) return a;
  const EntropyPart& high = a.largest >= b.largest ? a : b;
  const EntropyPart& low = a.largest >= b.largest ? b : a;
  const double below = low.largest - high.largest;
  const double weight = Exp(below);
  return {high.largest, high.sum + weight * low.sum,
          high.weighted + weight * (low.weighted + below * low.sum)};
}

/// In nats; NaN where the part has no entropy.
PB_HOST_DEVICE inline double EntropyOf(const EntropyPart& all) {
  return Log(all.sum) - all.weighted / all.sum;
}

}  // namespace pinboard::kernels
