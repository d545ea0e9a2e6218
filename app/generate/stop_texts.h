// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Ends a text where one of some texts comes up.
#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace pinboard::app {

/// Passes a text on that arrives in pieces, up to the first stop text, which is not passed on. What
/// may be the beginning of one is held back until it is decided. Bytes are compared as they are.
/// Thread-compatible.
class StopTexts {
 public:
  /// `texts`: none of them empty; none at all: nothing stops.
  explicit StopTexts(std::vector<std::string> texts) : texts_(std::move(texts)) {}

  /// What can be passed on now. Once a stop text was found: nothing, ever.
  std::string Push(absl::string_view piece);
  /// What was held back, where the text ends by itself.
  std::string Finish();

  bool found() const { return found_; }

 private:
  std::vector<std::string> texts_;
  std::string held_;
  bool found_ = false;
};

}  // namespace pinboard::app
