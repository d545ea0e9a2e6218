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
// What LogLine adds begins with the message and ends the object.
constexpr char kJsonPattern[] =
    R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l","process":"%n","pid":%P,%v})";
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

std::unique_ptr<spdlog::logger> MakeLogger(absl::string_view name, LogLevel level,
                                           LogFormat format) {
  auto logger = std::make_unique<spdlog::logger>(std::string(name),
                                                 std::make_shared<spdlog::sinks::stderr_sink_mt>());
  logger->set_pattern(format == LogFormat::kJson ? kJsonPattern : kPattern,
                      spdlog::pattern_time_type::utc);
  logger->set_level(ToSpdlog(level));
  return logger;
}

/// Never destroyed: other threads may log while the process ends.
std::unique_ptr<spdlog::logger>& Logger() {
  static auto& logger = *new std::unique_ptr<spdlog::logger>(
      MakeLogger("pinboard", LogLevel::kWarning, LogFormat::kText));
  return logger;
}

/// Set by InitLog, before other threads start.
LogFormat log_format = LogFormat::kText;

std::string JsonText(absl::string_view text) {
  std::string json = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      absl::StrAppend(&json, "\\", std::string(1, c));
    } else if (byte < 0x20 || byte >= 0x7f) {
      absl::StrAppend(&json, "\\u", absl::Hex(byte, absl::kZeroPad4));
    } else {
      json.push_back(c);
    }
  }
  return json + "\"";
}

std::string Line(absl::string_view message, LogFields fields) {
  if (log_format == LogFormat::kText) {
    std::string line(message);
    for (const auto& [name, value] : fields) absl::StrAppend(&line, " ", name, "=", value);
    std::replace_if(line.begin(), line.end(), absl::ascii_iscntrl, ' ');
    return line;
  }
  std::string line = absl::StrCat("\"message\":", JsonText(message));
  for (const auto& [name, value] : fields) {
    absl::StrAppend(&line, ",", JsonText(name), ":", JsonText(value));
  }
  return line;
}

}  // namespace

void InitLog(absl::string_view name, LogLevel level, LogFormat format) {
  log_format = format;
  Logger() = MakeLogger(name, level, format);
}

absl::StatusOr<LogFormat> ParseLogFormat(absl::string_view text) {
  if (text == "text") return LogFormat::kText;
  if (text == "json") return LogFormat::kJson;
  return absl::InvalidArgumentError(
      absl::StrCat("unknown log format '", text, "': use text or json"));
}

absl::StatusOr<LogLevel> ParseLogLevel(absl::string_view text) {
  for (const auto& [name, level] : kNames) {
    if (text == name) return level;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("unknown log level '", text, "': use debug, info, warning, error or off"));
}

bool LogEnabled(LogLevel level) { return Logger()->should_log(ToSpdlog(level)); }

void LogLine(LogLevel level, absl::string_view message, LogFields fields) {
  if (!LogEnabled(level)) return;
  const std::string line = Line(message, fields);
  Logger()->log(ToSpdlog(level), spdlog::string_view_t(line.data(), line.size()));
}

}  // namespace pinboard
