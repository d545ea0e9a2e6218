// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "app/suite/suite_path.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <system_error>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"

namespace pinboard::app {
namespace {

namespace fs = std::filesystem;

std::array<fs::path, 2> SuiteDirectories() {
  std::error_code ignored;
  const fs::path program = fs::read_symlink("/proc/self/exe", ignored);
  return {program.parent_path().parent_path() / "share/pinboard/suites",
          fs::path(PINBOARD_SOURCE_DIR) / "eval/suites"};
}

}  // namespace

absl::StatusOr<std::string> ResolveSuite(const std::string& suite) {
  absl::string_view name = suite;
  if (!absl::ConsumePrefix(&name, "builtin:")) return suite;
  std::vector<std::string> known;
  for (const fs::path& directory : SuiteDirectories()) {
    std::error_code missing;
    for (const auto& entry : fs::directory_iterator(directory, missing)) {
      if (entry.path().extension() != ".jsonl") continue;
      if (entry.path().stem() == std::string(name)) return entry.path().string();
      known.push_back(entry.path().stem().string());
    }
  }
  std::sort(known.begin(), known.end());
  return absl::NotFoundError(
      absl::StrCat("no suite ", suite, ": there are builtin:", absl::StrJoin(known, ", builtin:"),
                   ", or give the path of a file"));
}

}  // namespace pinboard::app
