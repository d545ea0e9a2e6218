// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/access/tenant_file.h"

#include <cstdint>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/byte_size.h"
#include "base/status_macros.h"
#include "cache_service/access/config_lines.h"

namespace pinboard::cache_service {
namespace {

absl::Status SetLimit(const std::string& word, TenantLimits& limits) {
  const std::size_t equals = word.find('=');
  const std::string name = word.substr(0, equals);
  const std::string value = equals == std::string::npos ? "" : word.substr(equals + 1);
  if (name == "bytes") {
    PB_ASSIGN_OR_RETURN(limits.bytes, ParseByteSize(value));
    return absl::OkStatus();
  }
  bool valid = false;
  if (name == "pages") valid = absl::SimpleAtoi(value, &limits.pages) && limits.pages > 0;
  if (name == "extents") {
    valid = absl::SimpleAtoi(value, &limits.extents.emplace()) && *limits.extents > 0;
  }
  if (name == "priority") valid = absl::SimpleAtoi(value, &limits.priority);
  if (valid) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("\"", word, "\" is none of bytes=SIZE, pages=N, extents=N and priority=N"));
}

absl::StatusOr<TenantLimits> ParseLimits(const std::vector<std::string>& words) {
  PB_RETURN_IF_ERROR(CheckName("tenant", words[0]));
  TenantLimits limits;
  for (std::size_t i = 1; i < words.size(); ++i) PB_RETURN_IF_ERROR(SetLimit(words[i], limits));
  return limits;
}

}  // namespace

absl::StatusOr<absl::flat_hash_map<std::string, TenantLimits>> ParseTenantFile(
    const std::string& text) {
  absl::flat_hash_map<std::string, TenantLimits> tenants;
  for (const ConfigLine& line : SplitConfig(text)) {
    const absl::StatusOr<TenantLimits> limits = ParseLimits(line.words);
    if (!limits.ok()) return InLine(line, limits.status());
    if (!tenants.emplace(line.words[0], *limits).second) {
      return InLine(line, absl::InvalidArgumentError(
                              absl::StrCat("tenant ", line.words[0], " has a line already")));
    }
  }
  return tenants;
}

}  // namespace pinboard::cache_service
