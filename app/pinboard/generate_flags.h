// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The options of `pinboard generate`, and what they ask for.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "app/flags/flags.h"
#include "app/generate/generation.h"
#include "app/pinboard/common_flags.h"
#include "app/suite/token_field.h"
#include "pinboard/shard.h"

namespace pinboard::app {

struct GenerateFlags {
  CommonFlags common;
  SequenceOptions method;
  std::string prompt;
  std::string prompt_file;
  std::string ids;
  int prompt_tokens = 0;  // drawn; 0: none are
  std::string prompts;
  SamplingOptions sampling;
  int seed = 0;
  std::vector<std::string> stop;
  int max_tokens = 256;
  std::string when = "every:256";
  std::string mode = "compress";
  std::string plans;
  int cache_blocks = 0;
  std::string json;
  bool stats = false;
};

/// A dry run: nothing is evicted, and no service is needed.
inline bool Observes(const GenerateFlags& flags) { return flags.mode == "observe"; }

FlagTable MakeGenerateTable(GenerateFlags* flags);

/// InvalidArgument and others, one line: the first thing that cannot work, the model's
/// configuration and the prompts included.
absl::Status CheckGenerateFlags(const GenerateFlags& flags);

/// One per text to be continued. Without a service (`has_service` false) nothing is offloaded.
/// Errors: CheckGenerateFlags'.
absl::StatusOr<std::vector<GenerationRequest>> MakeRequests(const GenerateFlags& flags,
                                                            const TokenVocabulary& vocabulary,
                                                            bool has_service);

}  // namespace pinboard::app
