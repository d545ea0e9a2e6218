// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "transport/fabric/ucx/ucx_log.h"

#include <ucs/config/global_opts.h>
#include <ucs/debug/log_def.h>

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <mutex>

#include "base/log.h"

namespace pinboard::transport {
namespace {

LogLevel LevelOf(ucs_log_level_t level) {
  if (level <= UCS_LOG_LEVEL_ERROR) return LogLevel::kError;
  if (level == UCS_LOG_LEVEL_WARN) return LogLevel::kWarning;
  return level <= UCS_LOG_LEVEL_INFO ? LogLevel::kInfo : LogLevel::kDebug;
}

ucs_log_func_rc_t Forward(const char* /*file*/, unsigned /*line*/, const char* /*function*/,
                          ucs_log_level_t level, const ucs_log_component_config_t* /*component*/,
                          const char* message, va_list arguments) {
  char text[1024];
  std::vsnprintf(text, sizeof(text), message, arguments);
  LogLine(LevelOf(level), absl::StrCat("UCX: ", text));
  return UCS_LOG_FUNC_RC_STOP;
}

}  // namespace

void RouteUcxMessages() {
  static std::once_flag once;
  std::call_once(once, [] {
    if (std::getenv("UCX_LOG_LEVEL") == nullptr) ucs_global_opts_set_value("LOG_LEVEL", "fatal");
    ucs_log_push_handler(Forward);
  });
}

}  // namespace pinboard::transport
