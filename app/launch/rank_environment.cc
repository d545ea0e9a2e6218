// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "app/launch/rank_environment.h"

#include <cstdlib>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace pinboard::app {
namespace {

constexpr char kRank[] = "PINBOARD_RANK";
constexpr char kRendezvous[] = "PINBOARD_RANK_RENDEZVOUS";
constexpr char kService[] = "PINBOARD_RANK_SERVICE";
constexpr char kGroup[] = "PINBOARD_RANK_SERVICE_GROUP";
constexpr char kErrorFd[] = "PINBOARD_RANK_ERROR_FD";

std::string Variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

std::vector<std::pair<std::string, std::string>> RankEnvironment::ToVariables() const {
  return {{kRank, absl::StrCat(rank)},
          {kRendezvous, rendezvous},
          {kService, service},
          {kGroup, absl::StrCat(service_group)},
          {kErrorFd, absl::StrCat(error_fd)}};
}

std::optional<RankEnvironment> RankEnvironment::FromVariables() {
  RankEnvironment found;
  if (!absl::SimpleAtoi(Variable(kRank), &found.rank) ||
      !absl::SimpleAtoi(Variable(kGroup), &found.service_group) ||
      !absl::SimpleAtoi(Variable(kErrorFd), &found.error_fd)) {
    return std::nullopt;
  }
  found.rendezvous = Variable(kRendezvous);
  found.service = Variable(kService);
  return found;
}

}  // namespace pinboard::app
