// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Many prompts in one file.
#pragma once

#include <functional>
#include <istream>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "app/generate/generation.h"
#include "app/suite/token_field.h"

namespace pinboard::app {

/// What a text is compressed under, of a policy with its options as ParseArms takes one.
using PolicyReader = std::function<absl::StatusOr<SequenceOptions>(const std::string& policy)>;

/// Reads one JSON object per line:
///   {"prompt": T, "max_tokens": N, "policy": P, "seed": S}
/// where T is a list of token ids or a string, or in place of it "prompt_tokens": N, a drawn prompt
/// of so many (DrawPrompt, seed i of prompt i), and P what `read_policy` reads. All but `prompt`
/// may be left out and come from `defaults`; the seed of prompt i, counted from 0, is then the
/// default one + i, so that equal prompts are continued differently. Empty lines are ignored.
///
/// InvalidArgument, one line that begins "name:line: ": not JSON, a key that is not known, a value
/// of another type or out of range; or no prompt at all. Of a policy: read_policy's, begun so.
absl::StatusOr<std::vector<GenerationRequest>> ParsePrompts(std::istream& lines,
                                                            const std::string& name,
                                                            const TokenVocabulary& vocabulary,
                                                            const GenerationRequest& defaults,
                                                            const PolicyReader& read_policy);

/// The same from a file. NotFound: it cannot be read.
absl::StatusOr<std::vector<GenerationRequest>> ReadPrompts(const std::string& path,
                                                           const TokenVocabulary& vocabulary,
                                                           const GenerationRequest& defaults,
                                                           const PolicyReader& read_policy);

}  // namespace pinboard::app
