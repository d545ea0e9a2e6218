// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// OpenMetrics 1.0.0: who asks for it, and the text of metrics.
#pragma once

#include <prometheus/metric_family.h>

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace pinboard {

inline constexpr char kOpenMetricsContentType[] =
    "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Whether the Accept header of a request wants OpenMetrics at least as much as the Prometheus text
/// format. It does only where it names application/openmetrics-text, of no version or of 1.0.0;
/// text/plain counts as what the most specific range that holds it says (RFC 9110). A range that
/// cannot be read is none.
bool PrefersOpenMetrics(absl::string_view accept);

/// Each family with its samples, then # EOF. Requires counters whose names end in _total, gauges
/// and histograms, each name once and the last bucket without a bound: what a MetricRegistry has.
/// The unit is the last word of the name, _total aside, where it is seconds or bytes.
std::string OpenMetricsText(const std::vector<prometheus::MetricFamily>& families);

}  // namespace pinboard
