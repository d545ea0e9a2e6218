// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/access/watched_file.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/text_file.h"

namespace pinboard::cache_service {
namespace {

constexpr std::int64_t kMaxBytes = 1 << 20;

std::int64_t Nanoseconds(const timespec& time) {
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

}  // namespace

WatchedFile::Stamp WatchedFile::Look() const {
  struct stat found {};
  if (stat(path_.c_str(), &found) != 0) return {};
  return {Nanoseconds(found.st_mtim), Nanoseconds(found.st_ctim), found.st_size, found.st_ino,
          found.st_mode};
}

bool WatchedFile::HasChanged() const { return !(Look() == seen_); }

absl::StatusOr<std::string> WatchedFile::Read() {
  seen_ = Look();
  if (seen_.bytes < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("cannot read the file ", path_, ": ", std::strerror(errno)));
  }
  if (!S_ISREG(seen_.mode)) {
    return absl::InvalidArgumentError(absl::StrCat(path_, " is not a file: name the file in it"));
  }
  if (kind_ == kSecret && (seen_.mode & S_IRWXO) != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(path_, " is open to every user of this machine: chmod o= ", path_));
  }
  if (seen_.bytes > kMaxBytes) {
    return absl::InvalidArgumentError(absl::StrCat(path_, " has more than ", kMaxBytes, " bytes"));
  }
  auto text = ReadTextFile(path_);
  if (text.ok()) return text;
  return absl::InvalidArgumentError(absl::StrCat("cannot read the file ", text.status().message()));
}

}  // namespace pinboard::cache_service
