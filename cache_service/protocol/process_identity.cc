// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/protocol/process_identity.h"

#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <optional>
#include <sstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "xxhash.h"

namespace pinboard::cache_service {
namespace {

struct ProcessStat {
  char state = 0;
  std::uint64_t threads = 0;
  std::uint64_t start_ticks = 0;
};

/// Fields 3, 20 and 22 of /proc/PID/stat; the name before them may hold any character.
std::optional<ProcessStat> ReadStat(std::uint32_t pid) {
  std::ifstream file(absl::StrCat("/proc/", pid, "/stat"));
  std::string line;
  if (!std::getline(file, line)) return std::nullopt;
  const std::size_t name_end = line.rfind(')');
  if (name_end == std::string::npos) return std::nullopt;
  std::istringstream fields(line.substr(name_end + 1));
  ProcessStat stat;
  fields >> stat.state;
  std::string skipped;
  for (int field = 4; field < 20; ++field) fields >> skipped;
  fields >> stat.threads >> skipped >> stat.start_ticks;
  if (!fields) return std::nullopt;
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
  const std::optional<ProcessStat> stat = ReadStat(process.pid);
  if (stat.has_value()) process.start_ticks = stat->start_ticks;
  return process;
}

bool IsRunningHere(const ProcessIdentity& process) {
  static const std::uint64_t host = HostIdentity();
  if (process.host != host) return false;
  const std::optional<ProcessStat> stat = ReadStat(process.pid);
  if (!stat.has_value() || stat->start_ticks != process.start_ticks) return false;
  const bool ended = stat->state == 'X' || (stat->state == 'Z' && stat->threads <= 1);
  return !ended;
}

}  // namespace pinboard::cache_service
