// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What rounds decided, as a file of JSON lines.
#pragma once

#include <cstddef>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "pinboard/shard.h"

namespace pinboard::app {

/// app/README.md names the fields. One thread.
class PlanLog {
 public:
  /// Replaces the file at `path`. Unavailable: it cannot be written.
  static absl::StatusOr<std::unique_ptr<PlanLog>> Open(const std::string& path);

  /// The next round of sequence `sequence`, counted from 0: a line for each layer of its plan, or
  /// one that says why there is none. Unavailable: a full disk, say.
  absl::Status Write(std::size_t sequence, const RoundOutcome& outcome);

 private:
  explicit PlanLog(const std::string& path) : path_(path), file_(path) {}

  const std::string path_;
  std::ofstream file_;
  std::vector<int> rounds_;  // [sequences seen], written so far
};

}  // namespace pinboard::app
