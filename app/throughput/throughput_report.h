// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Throughputs side by side, for people and for programs.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "app/throughput/throughput.h"

namespace pinboard::app {

struct ThroughputReport {
  std::string model;  // as given
  std::string backend;
  int tp = 1;
  int cache_blocks = 0;
  std::size_t block_bytes = 0;  // of a rank
  ThroughputOptions options;
  std::vector<Arm> arms;
  std::vector<Throughput> measured;  // [arms]
};

/// An aligned table with what its columns mean. The last column is relative to the first arm.
std::string ThroughputTable(const ThroughputReport& report);

/// A list, one flat JSON object an arm; app/README.md names the fields and their units.
std::string ThroughputJson(const ThroughputReport& report);

}  // namespace pinboard::app
