// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A small file that is read again when it has changed.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace pinboard::cache_service {

/// Told by time of change, size and inode, so that a file replaced by another (rename, or the links
/// of a mounted Kubernetes secret) is seen as well as one that was written to. Thread-compatible.
class WatchedFile {
 public:
  enum Kind { kPublic, kSecret };
  /// kSecret: refused where users other than its owner and group may read it.
  WatchedFile(std::string path, Kind kind) : path_(std::move(path)), kind_(kind) {}

  /// The whole file, of at most 1 MiB. InvalidArgument, in one line that names the file.
  absl::StatusOr<std::string> Read();
  /// Whether it is another than Read last saw, also where that failed.
  bool HasChanged() const;
  const std::string& path() const { return path_; }

 private:
  struct Stamp {
    std::int64_t modified_ns = 0;
    std::int64_t changed_ns = 0;
    std::int64_t bytes = -1;  // not there
    std::uint64_t inode = 0;
    std::uint32_t mode = 0;
    friend bool operator==(const Stamp&, const Stamp&) = default;
  };
  Stamp Look() const;

  std::string path_;
  Kind kind_;
  Stamp seen_;
};

}  // namespace pinboard::cache_service
