// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// An evaluation suite: contexts, what follows them, and questions about them.
#pragma once

#include <cstdint>
#include <istream>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "app/suite/token_field.h"

namespace pinboard::app {

/// Token ids.
struct Question {
  std::vector<std::int32_t> prompt;
  std::vector<std::int32_t> answer;  // what greedy decoding must produce, exactly
  int tokens_ago =
      0;  // from the end of the context back to the end of what answers it; 0: not told
};

struct SuiteItem {
  std::vector<std::int32_t> context;       // begins with the prompt
  int prompt_tokens = 0;                   // what prompt-protecting policies never evict
  std::vector<std::int32_t> continuation;  // may be empty: nothing is scored
  std::vector<Question> questions;         // may be empty
};

/// Reads one JSON object per line:
///   {"prompt": T, "context": T, "continuation": T, "questions": [Q, ...]},
///   Q {"prompt": T, "answer": T, "tokens_ago": N}
/// where T is a list of token ids or a string. All but `context` and a question's prompt and answer
/// may be left out; `prompt` is put in front of the context. Other keys are ignored; so are empty
/// lines. Stops after `limit` items (0: no limit).
///
/// InvalidArgument, one line that begins "name:line: ": not JSON, a part that is missing, empty or
/// of another type, an id outside the vocabulary, or a suite without items.
absl::StatusOr<std::vector<SuiteItem>> ParseSuite(std::istream& lines, const std::string& name,
                                                  const TokenVocabulary& vocabulary, int limit);

/// The same from a file. NotFound: it cannot be read.
absl::StatusOr<std::vector<SuiteItem>> ReadSuite(const std::string& path,
                                                 const TokenVocabulary& vocabulary, int limit);

}  // namespace pinboard::app
