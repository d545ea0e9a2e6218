// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What came of a load, as a table and as JSON.
#pragma once

#include <string>
#include <vector>

#include "app/service_load/load_run.h"

namespace pinboard::app {

/// The value that a share of all is at or below, by the nearest rank; 0 of none. Requires sorted
/// values and 0 < share <= 1.
double Percentile(const std::vector<double>& sorted, double share);

std::string LoadTable(const Workload& workload, const LoadResult& result);
/// One object with the workload, counts, rates and percentiles in microseconds.
std::string LoadJson(const Workload& workload, const LoadResult& result);

}  // namespace pinboard::app
