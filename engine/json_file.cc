// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "engine/json_file.h"

#include "absl/strings/str_cat.h"
#include "base/text_file.h"

namespace pinboard::engine {

absl::StatusOr<std::string> ReadFile(const std::string& path, const std::string& what_to_do) {
  auto text = ReadTextFile(path);
  if (text.ok()) return text;
  return absl::Status(text.status().code(),
                      absl::StrCat(text.status().message(), "; ", what_to_do));
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
