// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The process that started the ranks: waits for them, names what went wrong, leaves nothing behind.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace pinboard::app {

/// A rank's process as the supervisor sees it.
struct SupervisedRank {
  pid_t pid = -1;
  int error_fd = -1;                  // our end of the pipe for its error line
  std::optional<int> wait_status;     // set once it has ended
  std::optional<absl::Status> error;  // what it reported
};

/// This thread takes the signals that the supervisor waits for; call before any rank is started.
void TakeSupervisedSignals();

/// Returns when all ranks have ended: the program's exit code, and in `message` the one line that
/// says why it is not 0. After the first failure the others get `grace` to end by themselves, then
/// SIGKILL; after SIGINT or SIGTERM (exit code 130) they get SIGTERM, and a second later SIGKILL.
int Supervise(std::vector<SupervisedRank>& ranks, absl::Duration grace, std::string* message);

}  // namespace pinboard::app
