// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "transport/fabric/ucx/shared_memory.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace pinboard::transport {

bool AllowsSharedMemory(const char* ucx_tls) {
  if (ucx_tls == nullptr) return true;
  absl::string_view list = ucx_tls;
  const bool left_out = absl::ConsumePrefix(&list, "^");
  const std::vector<absl::string_view> names = absl::StrSplit(list, ',');
  const auto named = [&names](absl::string_view transport) {
    return std::any_of(names.begin(), names.end(), [transport](absl::string_view name) {
      return name == transport || name == "mm" || name == "sm" || name == "shm" || name == "all";
    });
  };
  // Where any is left that both sides have, UCX takes it.
  for (const char* transport : {"posix", "sysv", "xpmem"}) {
    if (named(transport) != left_out) return true;
  }
  return false;
}

}  // namespace pinboard::transport
