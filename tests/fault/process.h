// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A program that is watched while it runs: stopped, killed and continued by others or by itself.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace pinboard::testing {

/// Killed and collected when destroyed. Started in the network namespace of the calling thread.
class Process {
 public:
  enum class State { kRunning, kStopped, kEnded };

  /// `command[0]` is the program; `environment` adds "NAME=value" to this process's. Its standard
  /// output can be read line by line; its standard error is added to the file `errors`, if given.
  Process(std::vector<std::string> command, const std::vector<std::string>& environment,
          const std::string& errors = "");
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  pid_t pid() const { return pid_; }
  std::string ReadLine() const;
  /// No effect once it has ended.
  void Signal(int signal);
  /// What has become of it; does not wait.
  State Look();
  /// Once it has ended: the exit status, or -signal.
  int outcome() const { return outcome_; }

 private:
  pid_t pid_ = -1;
  int output_ = -1;
  State state_ = State::kRunning;
  int outcome_ = 0;
};

}  // namespace pinboard::testing
