// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A file of a test, in a directory of its own.
#pragma once

#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "tests/support/temporary_folder.h"

namespace pinboard {

class ScratchFile {
 public:
  explicit ScratchFile(const std::string& text) { Replace(text); }

  std::string path() const { return folder_.path() + "/file"; }
  /// Another file takes its place at once, as an operator's tools do it.
  void Replace(const std::string& text, int mode = 0600) {
    const std::string next = folder_.path() + "/next";
    std::ofstream(next) << text;
    chmod(next.c_str(), mode);
    std::filesystem::rename(next, path());
  }

 private:
  TemporaryFolder folder_;
};

}  // namespace pinboard
