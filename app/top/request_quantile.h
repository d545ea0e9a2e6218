// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// How long a service works on its messages.
#pragma once

#include <optional>
#include <string>

#include "app/stat/service_sample.h"

namespace pinboard::app {

/// The microseconds within which the service ended this share of the `operation` messages that came
/// between the samples (`before` null: since its start), interpolated in a bucket of its histogram.
/// The last bound for what is beyond it. Nothing where none came, or where the service does not
/// tell it. Requires 0 < share <= 1.
std::optional<double> RequestQuantileUs(const ServiceSample* before, const ServiceSample& now,
                                        const std::string& operation, double share);

}  // namespace pinboard::app
