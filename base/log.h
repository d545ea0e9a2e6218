// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Log lines for operators, on standard error.
#pragma once

#include <initializer_list>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace pinboard {

enum class LogLevel { kDebug, kInfo, kWarning, kError, kOff };

/// kText: for people, fields as name=value after the message. kJson: an object a line, for
/// programs; bytes of a message that are not ASCII are written as the Latin-1 characters they would
/// be.
enum class LogFormat { kText, kJson };

/// Names the process in each line ("pinboardd", "pinboard rank 1") and sets the level. Call it
/// once, before other threads start. Without it the name is "pinboard" and the level kWarning.
void InitLog(absl::string_view name, LogLevel level, LogFormat format = LogFormat::kText);

/// Reads debug, info, warning, error or off. Errors: InvalidArgument.
absl::StatusOr<LogLevel> ParseLogLevel(absl::string_view text);

/// Reads text or json. Errors: InvalidArgument.
absl::StatusOr<LogFormat> ParseLogFormat(absl::string_view text);

/// Whether lines of this level are written. Thread-safe.
bool LogEnabled(LogLevel level);

/// Writes one line: UTC time, level, process name and id, message. Control characters in the
/// message become spaces, so a message stays one line whatever a peer sent. Thread-safe.
///   LogLine(LogLevel::kInfo, "closed", {{"client", absl::StrCat(client)}});
using LogFields = std::initializer_list<std::pair<absl::string_view, std::string>>;
void LogLine(LogLevel level, absl::string_view message, LogFields fields = {});

/// The arguments are joined as by absl::StrCat, and only where the level is enabled:
///   LogWarning("page ", page, " failed its checksum: counted as a miss");
template <typename... Args>
void LogInfo(const Args&... args) {
  if (LogEnabled(LogLevel::kInfo)) LogLine(LogLevel::kInfo, absl::StrCat(args...));
}
template <typename... Args>
void LogWarning(const Args&... args) {
  if (LogEnabled(LogLevel::kWarning)) LogLine(LogLevel::kWarning, absl::StrCat(args...));
}
template <typename... Args>
void LogError(const Args&... args) {
  if (LogEnabled(LogLevel::kError)) LogLine(LogLevel::kError, absl::StrCat(args...));
}

}  // namespace pinboard
