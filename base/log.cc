// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/ascii.h"

namespace pinboard {
namespace {

constexpr char kPattern[] = "%Y-%m-%dT%H:%M:%S.%eZ %L %n[%P] %v";
constexpr std::pair<const char*, LogLevel> kNames[] = {{"debug", LogLevel::kDebug},
                                                       {"info", LogLevel::kInfo},
                                                       {"warning", LogLevel::kWarning},
                                                       {"error", LogLevel::kError},
                                                       {"off", LogLevel::kOff}};

spdlog::level::level_enum ToSpdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
    case LogLevel::kOff:
      break;
  }
  return spdlog::level::off;
}

std::unique_ptr<spdlog::logger> MakeLogger(absl::string_view name, LogLevel level) {
  auto logger = std::make_unique<spdlog::logger>(std::string(name),
                                                 std::make_shared<spdlog::sinks::stderr_sink_mt>());
  logger->set_pattern(kPattern, spdlog::pattern_time_type::utc);
  logger->set_level(ToSpdlog(level));
  return logger;
}

/// Never destroyed: other threads may log while the process ends.
std::unique_ptr<spdlog::logger>& Logger() {
  static auto& logger =
      *new std::unique_ptr<spdlog::logger>(MakeLogger("pinboard", LogLevel::kWarning));
  return logger;
}

}  // namespace

void InitLog(absl::string_view name, LogLevel level) { Logger() = MakeLogger(name, level); }

absl::StatusOr<LogLevel> ParseLogLevel(absl::string_view text) {
  for (const auto& [name, level] : kNames) {
    if (text == name) return level;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("unknown log level '", text, "': use debug, info, warning, error or off"));
}

bool LogEnabled(LogLevel level) { return Logger()->should_log(ToSpdlog(level)); }

void LogLine(LogLevel level, absl::string_view message) {
  std::string line(message);
  std::replace_if(line.begin(), line.end(), absl::ascii_iscntrl, ' ');
  Logger()->log(ToSpdlog(level), spdlog::string_view_t(line.data(), line.size()));
}

}  // namespace pinboard
