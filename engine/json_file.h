// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Reading JSON without exceptions, with errors that name the file.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "absl/status/statusor.h"

namespace pinboard::engine {

/// The bytes of a file. NotFound: it cannot be opened; the message says `what_to_do`.
absl::StatusOr<std::string> ReadFile(const std::string& path, const std::string& what_to_do);

/// InvalidArgument: not JSON, or not an object; `path` only names it.
absl::StatusOr<nlohmann::json> ParseJsonObject(const std::string& text, const std::string& path);

}  // namespace pinboard::engine
