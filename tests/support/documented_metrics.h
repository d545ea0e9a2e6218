// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Whether docs/metrics.md and an exposition name the same metrics, of the same kinds.
#pragma once

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>
#include <string>

namespace pinboard {

/// "NAME KIND" of each match of `pattern`, whose groups these are.
inline std::set<std::string> NamesAndKinds(const std::string& text, const std::string& pattern) {
  const std::regex line(pattern);
  std::set<std::string> found;
  for (std::sregex_iterator match(text.begin(), text.end(), line), end; match != end; ++match) {
    found.insert(match->str(1) + " " + match->str(2));
  }
  return found;
}

/// Those in the document's tables whose names begin with `prefix`.
inline std::set<std::string> DocumentedMetrics(const std::string& prefix) {
  std::ifstream file(std::string(std::getenv("PINBOARD_SOURCE_DIR")) + "/docs/metrics.md");
  const std::string text(std::istreambuf_iterator<char>(file), {});
  return NamesAndKinds(text, "\\| `(" + prefix + "[a-z_]+)` \\| ([a-z]+) \\|");
}

/// Those of what /metrics answers.
inline std::set<std::string> ExposedMetrics(const std::string& prefix,
                                            const std::string& exposition) {
  return NamesAndKinds(exposition, "# TYPE (" + prefix + "[a-z_]+) ([a-z]+)");
}

}  // namespace pinboard
