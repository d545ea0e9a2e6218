// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// How the supervisor tells a rank's process who it is: environment variables, PINBOARD_RANK_*.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace pinboard::app {

struct RankEnvironment {
  int rank = 0;
  std::string rendezvous;  // HOST:PORT where rank 0 listens
  std::string service;     // HOST:PORT,..., empty: none
  std::uint64_t service_group = 0;
  int error_fd = -1;  // a rank writes its one error line there

  std::vector<std::pair<std::string, std::string>> ToVariables() const;
  /// Nothing in a process that is not a rank's.
  static std::optional<RankEnvironment> FromVariables();
};

}  // namespace pinboard::app
