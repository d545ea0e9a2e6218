// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "transport/fabric/ucx/memory_limit.h"

#include <sys/resource.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <limits>
#include <optional>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace pinboard::transport {
namespace {

constexpr std::uint64_t kUnlimited = std::numeric_limits<std::uint64_t>::max();

/// The number behind a name, of lines of a name and a number.
std::optional<std::uint64_t> ReadNamed(const std::filesystem::path& path, absl::string_view name) {
  std::ifstream file(path);
  std::string key;
  std::uint64_t value = 0;
  std::string rest;
  while (file >> key >> value && std::getline(file, rest)) {
    if (key == name) return value;
  }
  return std::nullopt;
}

std::uint64_t MemAvailable() {
  const auto kilobytes = ReadNamed("/proc/meminfo", "MemAvailable:");
  return kilobytes.has_value() ? *kilobytes * 1024 : kUnlimited;
}

std::uint64_t ReadNumber(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::uint64_t value = 0;
  return file >> value ? value : kUnlimited;
}

std::uint64_t HeadroomOf(const std::filesystem::path& group) {
  const std::uint64_t limit = ReadNumber(group / "memory.max");
  const std::uint64_t used = ReadNumber(group / "memory.current");
  if (limit == kUnlimited || used == kUnlimited) return kUnlimited;
  // The kernel gives back what it keeps of files that are not in use.
  const std::uint64_t idle = ReadNamed(group / "memory.stat", "inactive_file").value_or(0);
  const std::uint64_t held = used - std::min(used, idle);
  return limit > held ? limit - held : 0;
}

/// "/": of no group, or of one that is not below what can be seen here.
std::filesystem::path GroupOf(const std::string& membership) {
  constexpr absl::string_view kVersion2 = "0::";
  std::ifstream file(membership);
  for (std::string line; std::getline(file, line);) {
    if (absl::StartsWith(line, kVersion2)) return line.substr(kVersion2.size());
  }
  return "/";
}

/// A file made longer than this ends the process (SIGXFSZ).
std::uint64_t FileSizeLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return kUnlimited;
  return limit.rlim_cur;
}

}  // namespace

std::uint64_t ControlGroupHeadroom(const std::string& membership, const std::string& root) {
  std::uint64_t least = HeadroomOf(root);
  std::filesystem::path group = root;
  for (const std::filesystem::path& part : GroupOf(membership).relative_path()) {
    group /= part;
    least = std::min(least, HeadroomOf(group));
  }
  return least;
}

absl::Status CheckSharedMemory(std::size_t bytes) {
  const std::uint64_t available =
      std::min({MemAvailable(), ControlGroupHeadroom("/proc/self/cgroup", "/sys/fs/cgroup"),
                FileSizeLimit()});
  if (bytes <= available) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrCat("a segment of ", bytes >> 20,
                                                   " MiB exceeds the shared memory available, ",
                                                   available >> 20, " MiB: ask for less"));
}

}  // namespace pinboard::transport
