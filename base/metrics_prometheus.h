// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What the metrics server wants of a registry beside base/metrics.h.
#pragma once

#include <prometheus/collectable.h>

#include <memory>

#include "base/metrics.h"

namespace pinboard {

/// Of one made by NewMetricRegistry. Shared because the exposer holds it weakly.
std::shared_ptr<prometheus::Collectable> CollectableOf(const MetricRegistry& registry);

}  // namespace pinboard
