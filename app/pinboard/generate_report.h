// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What `pinboard generate` says of a run: a line for people, JSON for programs.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "app/generate/generation.h"
#include "pinboard/shard.h"

namespace pinboard::app {

struct GenerateReport {
  Generations generations;
  std::vector<int> prompt_tokens;  // [requests]
  std::vector<std::string>
      texts;  // [requests], what may be shown; empty: the model has no tokenizer
  ShardStats stats;
  int tp = 1;
  int cache_blocks = 0;
  std::size_t row_bytes = 0;  // one token, all layers of one rank
};

/// One line.
std::string Statistics(const GenerateReport& report);

/// app/README.md names the fields: of one text or, where it came from a file of prompts
/// (`as_list`), of all. `path` as WriteOutput has it.
absl::Status WriteJson(const GenerateReport& report, bool as_list, const std::string& path);

}  // namespace pinboard::app
