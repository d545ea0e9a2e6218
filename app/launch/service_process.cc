// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "app/launch/service_process.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "app/launch/child_process.h"
#include "base/clock.h"
#include "base/status_macros.h"

namespace pinboard::app {
namespace {

std::string BesideThisProgram(const std::string& name) {
  char path[PATH_MAX];
  const ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);
  std::string self(path, length > 0 ? static_cast<std::size_t>(length) : 0);
  return self.substr(0, self.rfind('/') + 1) + name;
}

/// The next line on `fd`, without its end; nothing on end of file or at the deadline.
std::optional<std::string> ReadLine(int fd, absl::Time deadline) {
  std::string line;
  while (SteadyNow() < deadline) {
    pollfd ready{fd, POLLIN, 0};
    const int wait_ms = static_cast<int>(absl::ToInt64Milliseconds(deadline - SteadyNow()));
    if (poll(&ready, 1, wait_ms) <= 0) break;
    char c = 0;
    if (read(fd, &c, 1) != 1) break;
    if (c == '\n') return line;
    line.push_back(c);
  }
  return std::nullopt;
}

/// The address it listens on, or what it said instead.
absl::StatusOr<std::string> ReadAddress(int fd, absl::Time deadline) {
  std::string why = "it said nothing";
  while (const auto line = ReadLine(fd, deadline)) {
    absl::string_view rest = *line;
    if (!absl::ConsumePrefix(&rest, "pinboardd: ")) continue;
    if (absl::ConsumePrefix(&rest, "listening on ")) return std::string(rest);
    why = std::string(rest);
  }
  return absl::UnavailableError(absl::StrCat("the cache service of this run did not start: ", why));
}

}  // namespace

absl::StatusOr<ServiceProcess> StartService(const std::string& arena, absl::Duration timeout) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return absl::InternalError("pipe failed");
  auto pid = StartChild(
      {BesideThisProgram("pinboardd"),
       {"pinboardd", "--listen", "127.0.0.1:0", "--arena", arena, "--eviction", "score",
        "--watermarks", "none", "--metrics", "none", "--log-level", "off", "--exit-with-parent"},
       {},
       {{ends[1], STDOUT_FILENO}, {ends[1], STDERR_FILENO}}});
  close(ends[1]);
  if (!pid.ok()) {
    close(ends[0]);
    return absl::NotFoundError(absl::StrCat(pid.status().message(),
                                            ": --service auto starts it; build "
                                            "it, or use --service none or an address"));
  }
  auto address = ReadAddress(ends[0], SteadyNow() + timeout);
  close(ends[0]);
  if (address.ok()) return ServiceProcess{*pid, *std::move(address)};
  kill(*pid, SIGKILL);
  waitpid(*pid, nullptr, 0);
  return address.status();
}

}  // namespace pinboard::app
