// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The pinboardd of one run (--service auto).
#pragma once

#include <sys/types.h>

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace pinboard::app {

struct ServiceProcess {
  pid_t pid = -1;
  std::string address;  // HOST:PORT on loopback
};

/// Starts the pinboardd that lies beside this program on a free loopback port and waits until it is
/// ready. Which pages leave it when it is full depends on their information alone, so that a run
/// can be repeated. It logs nothing: what it says before it is ready becomes the error. NotFound:
/// no pinboardd there; Unavailable: it ended (the message says why) or said nothing within
/// `timeout`.
absl::StatusOr<ServiceProcess> StartService(const std::string& arena, absl::Duration timeout);

}  // namespace pinboard::app
