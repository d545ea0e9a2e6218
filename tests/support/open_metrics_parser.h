// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A parser of OpenMetrics that is not ours: prometheus_client, Debian's python3-prometheus-client.
#pragma once

#include <cstdlib>

namespace pinboard {

/// A shell command that reads an exposition and prints "# TYPE NAME KIND" of each family, counters
/// with their _total; or, of the whole, only what is wrong. To be used where HasOpenMetricsParser.
inline constexpr char kOpenMetricsParser[] =
    "/usr/bin/python3 -c '\n"
    "import sys\n"
    "from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse\n"
    "for family in list(parse(sys.stdin.read())):\n"
    "  end = \"_total\" if family.type == \"counter\" else \"\"\n"
    "  print(f\"# TYPE {family.name}{end} {family.type}\")' 2>&1";

inline constexpr char kNoOpenMetricsParser[] =
    "prometheus_client, of Debian's package python3-prometheus-client, cannot be imported";

inline bool HasOpenMetricsParser() {
  return std::system(
             "/usr/bin/python3 -c 'import prometheus_client.openmetrics.parser' 2>/dev/null") == 0;
}

}  // namespace pinboard
