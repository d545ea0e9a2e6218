// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A service's counts for people.
#pragma once

#include <string>

#include "app/stat/service_sample.h"

namespace pinboard::app {

/// What is there now, then the totals since the service started, each beside its growth per second
/// since `before` (null: "-").
std::string StatTable(const ServiceSample* before, const ServiceSample& now);

}  // namespace pinboard::app
