// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "engine/json_file.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>

#include "absl/strings/str_cat.h"

namespace pinboard::engine {

absl::StatusOr<std::string> ReadFile(const std::string& path, const std::string& what_to_do) {
  std::ifstream in(path, std::ios::binary);
  if (!in) {
    return absl::NotFoundError(absl::StrCat(path, ": ", std::strerror(errno), "; ", what_to_do));
  }
  std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  if (in.bad()) return absl::DataLossError(absl::StrCat(path, ": cannot be read"));
  return text;
}

absl::StatusOr<nlohmann::json> ParseJsonObject(const std::string& text, const std::string& path) {
  nlohmann::json parsed = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (parsed.is_discarded() || !parsed.is_object()) {
    return absl::InvalidArgumentError(absl::StrCat(
        path, ": not a JSON object; the file is damaged or incomplete, copy it again"));
  }
  return parsed;
}

}  // namespace pinboard::engine
