// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Runs one program as tp rank processes with their communicator and their way to the cache service.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "cache_service/page_store.h"
#include "pinboard/backend.h"
#include "transport/collective/communicator.h"

namespace pinboard::app {

/// What a command asks of its group.
struct GroupOptions {
  int tp = 1;                            // 1 to 64
  Backend backend = Backend::kCpu;       // kCuda: the ranks' collectives go over NCCL
  std::string service = "auto";          // auto: a pinboardd of this run's own; none; HOST:PORT,...
  std::string service_arena = "512MiB";  // of --service auto
  std::string service_key;               // a file, shown to the service; empty: none
};

/// One rank, while its body runs.
struct RankContext {
  int rank = 0;
  int tp = 1;
  transport::Communicator* communicator = nullptr;  // never null; a solo one at tp 1
  cache_service::PageStore* store = nullptr;        // null with --service none
};

/// The body of a command: SPMD, the same on every rank; rank 0 writes the results to stdout.
using RankBody = std::function<absl::Status(const RankContext&)>;

/// Runs `body` on tp ranks and returns the program's exit code: 0; 1 after a run-time failure (ONE
/// line on stderr for the whole group, prefixed "pinboard: "); 130 after Ctrl-C.
///
/// The calling process becomes the supervisor: it starts the service where asked, then re-executes
/// itself
/// (`argv`, with the rank's number in the environment) once per rank; in those processes this very
/// call connects the rank, runs `body` and returns its exit code. tp 1 runs in a process of its own
/// too, so that there is one way of running. Ranks and service die with the supervisor; a rank that
/// dies is named, the others end by themselves within the communicator's deadline and are killed
/// after it.
///
/// `validate` runs first, in the supervisor only: usage errors are found before anything starts
/// (exit code 2).
int RunRankGroup(const GroupOptions& options, char** argv,
                 const std::function<absl::Status()>& validate, const RankBody& body);

}  // namespace pinboard::app
