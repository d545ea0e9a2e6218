// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The terminal as a screen that is drawn again and again, and what ends it.
#pragma once

#include <termios.h>

#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace pinboard::app {

/// What ended a wait.
struct TerminalEvent {
  bool quit = false;  // the key q
  int signal = 0;     // SIGINT, SIGTERM or SIGHUP; 0: none
  bool ends() const { return quit || signal != 0; }
};

/// While it lives, standard output is a screen of its own, without a cursor, and keys are read as
/// they come, if these are terminals; the destructor puts everything back. Where standard output is
/// none, Draw writes plain text. Signals that end a program, and those of a terminal, are taken by
/// the thread that makes it, for good: make it before other threads start.
class Terminal {
 public:
  Terminal();
  ~Terminal();
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  /// Characters in a line, and lines; 0 where it is no screen.
  int columns() const;
  int rows() const;

  /// In place of what was drawn before, or, where it is no screen, after it. Unavailable: it cannot
  /// be written.
  absl::Status Draw(const std::string& text) const;
  /// Until the deadline, or a key or signal that ends the program. A screen of another size, and
  /// any other key, end it early.
  TerminalEvent WaitUntil(absl::Time deadline) const;

 private:
  const bool is_screen_;
  bool reads_keys_ = false;
  termios before_{};  // where it reads keys
  int signals_ = -1;
};

}  // namespace pinboard::app
