// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Lines of words: the form of the service's small files.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace pinboard::cache_service {

struct ConfigLine {
  int number = 0;  // from 1
  std::vector<std::string> words;
};

/// The lines that have words; # and what follows it is none.
std::vector<ConfigLine> SplitConfig(const std::string& text);

/// 1 to 64 letters, digits, '.', '_' or '-'. InvalidArgument, with `what`: it is none.
absl::Status CheckName(const std::string& what, const std::string& name);

/// "line 3: ...", the status's code.
absl::Status InLine(const ConfigLine& line, const absl::Status& status);

}  // namespace pinboard::cache_service
