// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// One line on a terminal that says how far a command is.
#pragma once

#include <string>

namespace pinboard::app {

/// Overwrites itself on standard error, and is silent where that is no terminal. Cleared when
/// destroyed. One thread.
class ProgressLine {
 public:
  /// `enabled` false: always silent (ranks but the first).
  explicit ProgressLine(bool enabled);
  ~ProgressLine();
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  bool shown() const { return shown_; }
  void Show(const std::string& text);
  void Clear();

 private:
  const bool shown_;
};

}  // namespace pinboard::app
