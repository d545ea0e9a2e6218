// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What `pinboard generate` says of a run: a line for people, JSON for programs.
#pragma once

#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "app/generate/generation.h"
#include "pinboard/shard.h"

namespace pinboard::app {

struct GenerateReport {
  Generation made;
  ShardStats stats;
  int prompt_tokens = 0;
  int tp = 1;
  std::size_t row_bytes = 0;  // one token, all layers of one rank
  bool has_text = false;      // the model has a tokenizer
  std::string text;           // what was shown
};

/// One line.
std::string Statistics(const GenerateReport& report);

/// app/README.md names the fields. `path` as WriteOutput has it.
absl::Status WriteJson(const GenerateReport& report, const std::string& path);

}  // namespace pinboard::app
