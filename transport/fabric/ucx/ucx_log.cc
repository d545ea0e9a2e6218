// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "transport/fabric/ucx/ucx_log.h"

#include <ucs/debug/log_def.h>

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <mutex>

#include "base/log.h"

namespace pinboard::transport {
namespace {

/// Peers that die or talk nonsense are errors to UCX and daily life to us.
bool OwnLevels() {
  static const bool asked_for = std::getenv("UCX_LOG_LEVEL") != nullptr;
  return asked_for;
}

LogLevel LevelOf(ucs_log_level_t level) {
  if (level > UCS_LOG_LEVEL_FATAL && !OwnLevels()) return LogLevel::kDebug;
  if (level <= UCS_LOG_LEVEL_ERROR) return LogLevel::kError;
  if (level == UCS_LOG_LEVEL_WARN) return LogLevel::kWarning;
  return level <= UCS_LOG_LEVEL_INFO ? LogLevel::kInfo : LogLevel::kDebug;
}

ucs_log_func_rc_t Forward(const char* /*file*/, unsigned /*line*/, const char* /*function*/,
                          ucs_log_level_t level, const ucs_log_component_config_t* /*component*/,
                          const char* message, va_list arguments) {
  if (!LogEnabled(LevelOf(level))) return UCS_LOG_FUNC_RC_STOP;
  char text[1024];
  std::vsnprintf(text, sizeof(text), message, arguments);
  LogLine(LevelOf(level), absl::StrCat("UCX: ", text));
  return UCS_LOG_FUNC_RC_STOP;
}

}  // namespace

void RouteUcxMessages() {
  static std::once_flag once;
  std::call_once(once, [] { ucs_log_push_handler(Forward); });
}

}  // namespace pinboard::transport
