// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/protocol/process_identity.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "xxhash.h"

namespace pinboard::cache_service {
namespace {

// Of a process that could not look at itself.
constexpr std::uint64_t kUnknownStart = 0;

struct ProcessStat {
  char state = 0;
  std::uint64_t threads = 0;
  std::uint64_t start_ticks = 0;
};

/// Fields 3, 20 and 22 of /proc/PID/stat; the name before them may hold any character. NotFound:
/// there is no such process; Unavailable: it cannot be looked for now.
absl::StatusOr<ProcessStat> ReadStat(std::uint32_t pid) {
  const auto failed = [] {
    const bool gone = errno == ENOENT || errno == ESRCH;
    return gone ? absl::NotFoundError("no such process") : absl::UnavailableError("cannot look");
  };
  const int fd = open(absl::StrCat("/proc/", pid, "/stat").c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return failed();
  char text[1024];
  const ssize_t bytes = read(fd, text, sizeof(text));
  const absl::Status outcome = bytes < 0 ? failed() : absl::OkStatus();
  close(fd);
  PB_RETURN_IF_ERROR(outcome);
  const std::string line(text, static_cast<std::size_t>(bytes));
  const std::size_t name_end = line.rfind(')');
  if (name_end == std::string::npos) return absl::UnavailableError("cannot be read");
  std::istringstream fields(line.substr(name_end + 1));
  ProcessStat stat;
  fields >> stat.state;
  std::string skipped;
  for (int field = 4; field < 20; ++field) fields >> skipped;
  fields >> stat.threads >> skipped >> stat.start_ticks;
  if (!fields) return absl::UnavailableError("cannot be read");
  return stat;
}

std::uint64_t HostIdentity() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string identity;
  std::getline(file, identity);
  struct stat pid_namespace {};
  if (stat("/proc/self/ns/pid", &pid_namespace) == 0) {
    absl::StrAppend(&identity, "/", pid_namespace.st_ino);
  }
  return XXH3_64bits(identity.data(), identity.size());
}

}  // namespace

ProcessIdentity CurrentProcess() {
  ProcessIdentity process{.host = HostIdentity(), .pid = static_cast<std::uint32_t>(getpid())};
  const absl::StatusOr<ProcessStat> stat = ReadStat(process.pid);
  if (stat.ok()) process.start_ticks = stat->start_ticks;
  return process;
}

bool IsRunningHere(const ProcessIdentity& process) {
  static const std::uint64_t host = HostIdentity();
  if (process.host != host) return false;
  const absl::StatusOr<ProcessStat> stat = ReadStat(process.pid);
  if (absl::IsNotFound(stat.status())) return false;
  if (!stat.ok()) return true;  // it may: what is not known to be dead lives
  const bool is_known = process.start_ticks != kUnknownStart;
  if (is_known && stat->start_ticks != process.start_ticks) return false;
  const bool ended = stat->state == 'X' || (stat->state == 'Z' && stat->threads <= 1);
  return !ended;
}

}  // namespace pinboard::cache_service
