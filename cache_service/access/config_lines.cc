// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/access/config_lines.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace pinboard::cache_service {

std::vector<ConfigLine> SplitConfig(const std::string& text) {
  std::vector<ConfigLine> lines;
  int number = 0;
  for (const std::string& line : std::vector<std::string>(absl::StrSplit(text, '\n'))) {
    const std::string said = line.substr(0, line.find('#'));
    ConfigLine split{++number, absl::StrSplit(said, absl::ByAnyChar(" \t\r"), absl::SkipEmpty())};
    if (!split.words.empty()) lines.push_back(std::move(split));
  }
  return lines;
}

absl::Status CheckName(const std::string& what, const std::string& name) {
  constexpr std::size_t kMaxBytes = 64;
  const bool valid = !name.empty() && name.size() <= kMaxBytes &&
                     std::all_of(name.begin(), name.end(), [](char c) {
                       return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '.' ||
                              c == '_' || c == '-';
                     });
  if (valid) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("a ", what, " is 1 to ", kMaxBytes, " letters, digits, '.', '_' or '-'"));
}

absl::Status InLine(const ConfigLine& line, const absl::Status& status) {
  return absl::Status(status.code(),
                      absl::StrCat("line ", line.number, ": ", std::string(status.message())));
}

}  // namespace pinboard::cache_service
