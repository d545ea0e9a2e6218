// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A service's counts for programs.
#pragma once

#include <string>

#include "app/stat/service_sample.h"

namespace pinboard::app {

/// One JSON object on one line. Counts are named as in docs/metrics.md without "pinboard_service_";
/// one with a label is an object by the label's values. `per_second` has the growth of each counter
/// since `before` under the same names, and is null without it (app/README.md).
std::string StatJson(const ServiceSample* before, const ServiceSample& now);

}  // namespace pinboard::app
