// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "app/launch/supervisor.h"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "app/launch/child_process.h"
#include "base/clock.h"
#include "base/taken_signals.h"

namespace pinboard::app {
namespace {

constexpr int kInterrupted = 130;
constexpr absl::Duration kAfterInterrupt = absl::Seconds(1);

sigset_t SupervisedSignals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGCHLD, SIGINT, SIGTERM}) sigaddset(&set, signal);
  return set;
}

/// The line a rank wrote before it ended: "<code> <message>".
std::optional<absl::Status> ReadError(int fd) {
  std::string text;
  char buffer[512];
  pollfd ready{fd, POLLIN, 0};
  while (poll(&ready, 1, 0) > 0) {
    const ssize_t got = read(fd, buffer, sizeof(buffer));
    if (got <= 0) break;
    text.append(buffer, static_cast<std::size_t>(got));
  }
  const std::pair<std::string, std::string> parts =
      absl::StrSplit(text.substr(0, text.find('\n')), absl::MaxSplits(' ', 1));
  int code = 0;
  if (!absl::SimpleAtoi(parts.first, &code) || code == 0) return std::nullopt;
  return absl::Status(static_cast<absl::StatusCode>(code), parts.second);
}

bool Failed(const SupervisedRank& rank) {
  return rank.wait_status.has_value() &&
         !(WIFEXITED(*rank.wait_status) && WEXITSTATUS(*rank.wait_status) == 0);
}

void Reap(std::vector<SupervisedRank>& ranks) {
  for (SupervisedRank& rank : ranks) {
    int status = 0;
    if (rank.wait_status.has_value() || waitpid(rank.pid, &status, WNOHANG) != rank.pid) continue;
    rank.wait_status = status;
    rank.error = ReadError(rank.error_fd);
  }
}

void SignalAll(const std::vector<SupervisedRank>& ranks, int signal) {
  for (const SupervisedRank& rank : ranks) {
    if (!rank.wait_status.has_value()) kill(rank.pid, signal);
  }
}

bool AllEnded(const std::vector<SupervisedRank>& ranks) {
  return std::all_of(ranks.begin(), ranks.end(),
                     [](const SupervisedRank& rank) { return rank.wait_status.has_value(); });
}

/// The cause before its consequences: a rank that died, then an error of its own, then a lost peer.
std::string FirstCause(const std::vector<SupervisedRank>& ranks) {
  std::string died;
  std::string survivor;
  for (std::size_t r = 0; r < ranks.size(); ++r) {
    if (!Failed(ranks[r])) continue;
    const std::string who = absl::StrCat("rank ", r);
    if (!ranks[r].error.has_value()) {
      if (died.empty()) died = DescribeExit(who, *ranks[r].wait_status);
    } else if (!absl::IsUnavailable(*ranks[r].error)) {
      return std::string(ranks[r].error->message());
    } else if (survivor.empty()) {
      survivor = std::string(ranks[r].error->message());
    }
  }
  if (died.empty()) return survivor;
  return survivor.empty()
             ? died
             : absl::StrCat(died, "; the others kept everything and ended: ", survivor);
}

}  // namespace

void TakeSupervisedSignals() { TakeSignals(SupervisedSignals()); }

int Supervise(std::vector<SupervisedRank>& ranks, absl::Duration grace, std::string* message) {
  const sigset_t set = SupervisedSignals();
  absl::Time kill_at = absl::InfiniteFuture();
  bool interrupted = false;
  std::string cause;
  while (true) {
    Reap(ranks);
    if (AllEnded(ranks)) break;
    const auto failed = std::find_if(ranks.begin(), ranks.end(), Failed);
    if (failed != ranks.end() && kill_at == absl::InfiniteFuture()) {
      kill_at = SteadyNow() + grace;
    }
    if (SteadyNow() >= kill_at) {
      if (cause.empty() && !interrupted) cause = FirstCause(ranks);
      SignalAll(ranks, SIGKILL);
    }
    const timespec tick = absl::ToTimespec(absl::Milliseconds(50));
    const int signal = sigtimedwait(&set, nullptr, &tick);
    if (signal == SIGINT || signal == SIGTERM) {
      interrupted = true;
      SignalAll(ranks, SIGTERM);
      kill_at = std::min(kill_at, SteadyNow() + kAfterInterrupt);
    }
  }
  if (interrupted) {
    *message = "interrupted";
    return kInterrupted;
  }
  if (std::none_of(ranks.begin(), ranks.end(), Failed)) return EXIT_SUCCESS;
  *message = cause.empty() ? FirstCause(ranks) : cause;
  return EXIT_FAILURE;
}

}  // namespace pinboard::app
