// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A child of this process that cannot outlive it.
#pragma once

#include <sys/types.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"

namespace pinboard::app {

struct ChildOptions {
  std::string program;                                           // path
  std::vector<std::string> arguments;                            // argv[0] included
  std::vector<std::pair<std::string, std::string>> environment;  // added to this process's
  std::vector<std::pair<int, int>> descriptors;  // {ours, the child's}: inherited as that
};

/// Starts the child with all signals unblocked. It is killed when the calling THREAD ends
/// (PR_SET_PDEATHSIG): call from the thread that supervises. Internal: fork failed; NotFound: no
/// such program.
absl::StatusOr<pid_t> StartChild(const ChildOptions& options);

/// "rank 1 was killed by signal 9 (Killed)", "rank 1 ended with exit code 3".
std::string DescribeExit(const std::string& who, int wait_status);

}  // namespace pinboard::app
