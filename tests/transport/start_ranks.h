// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The ranks of a group as processes of a test program.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tests/cache_service/child_process.h"
#include "tests/support/free_port.h"

namespace pinboard::transport {

/// Starts `program` (a path in the build directory) once a rank: MODE RANK SIZE RENDEZVOUS.
inline std::vector<std::unique_ptr<ChildProcess>> StartRanks(const std::string& program,
                                                             const std::string& mode, int size) {
  const std::string rendezvous = FreeLoopbackAddress();
  std::vector<std::unique_ptr<ChildProcess>> ranks;
  for (int rank = 0; rank < size; ++rank) {
    ranks.push_back(std::make_unique<ChildProcess>(std::vector<std::string>{
        BuiltProgram(program), mode, std::to_string(rank), std::to_string(size), rendezvous}));
  }
  return ranks;
}

}  // namespace pinboard::transport
