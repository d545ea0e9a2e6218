// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A program whose ranks do what the test says: rank_group_probe MODE TP.
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "absl/time/clock.h"
#include "app/launch/rank_group.h"
#include "base/status_macros.h"

namespace pinboard::app {
namespace {

absl::Status Sum(const RankContext& rank) {
  std::int32_t value = rank.rank + 1;
  PB_RETURN_IF_ERROR(rank.communicator->SumInt32({&value, 1}, absl::Now() + absl::Seconds(20)));
  if (rank.rank == 0) std::printf("sum %d of %d ranks\n", value, rank.tp);
  return absl::OkStatus();
}

absl::Status Run(const std::string& mode, const RankContext& rank) {
  const bool last = rank.rank == rank.tp - 1;
  PB_RETURN_IF_ERROR(Sum(rank));
  if (mode == "killed" && last) raise(SIGKILL);
  if (mode == "exits" && last) _exit(3);
  if (mode == "error" && last) return absl::InvalidArgumentError("the last rank\nis not content");
  if (mode == "waits") {
    std::fflush(stdout);
    while (true) pause();
  }
  return mode == "ok" ? absl::OkStatus() : Sum(rank);
}

}  // namespace
}  // namespace pinboard::app

int main(int, char** argv) {
  using pinboard::app::RankContext;
  const std::string mode = argv[1];
  return pinboard::app::RunRankGroup(
      {.tp = std::atoi(argv[2]), .service = "none"}, argv,
      [&] {
        return mode == "refused" ? absl::InvalidArgumentError("not like this") : absl::OkStatus();
      },
      [&](const RankContext& rank) { return pinboard::app::Run(mode, rank); });
}
