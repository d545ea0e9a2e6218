// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The memory plan of a model, for people and for programs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "app/size/memory_plan.h"

namespace pinboard::app {

struct SizeReport {
  std::string model;  // as given
  MemoryRequest request;
  MemoryPlan plan;
  std::optional<std::uint64_t> gpu_memory_bytes;  // left for the KV cache on each GPU
};

/// An aligned table, with what it does not count in the last line.
std::string SizeTable(const SizeReport& report);

/// One flat JSON object; app/README.md names the fields and their units.
std::string SizeJson(const SizeReport& report);

}  // namespace pinboard::app
