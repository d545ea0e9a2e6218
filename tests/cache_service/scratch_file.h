// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A file of a test, in a directory of its own.
#pragma once

#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace pinboard {

class ScratchFile {
 public:
  explicit ScratchFile(const std::string& text) {
    std::string directory = (std::filesystem::temp_directory_path() / "pinboard.XXXXXX").string();
    if (mkdtemp(directory.data()) == nullptr) std::abort();
    directory_ = directory;
    Replace(text);
  }
  ScratchFile(const ScratchFile&) = delete;
  ScratchFile& operator=(const ScratchFile&) = delete;
  ~ScratchFile() { std::filesystem::remove_all(directory_); }

  std::string path() const { return (directory_ / "file").string(); }
  /// Another file takes its place at once, as an operator's tools do it.
  void Replace(const std::string& text, int mode = 0600) {
    const std::filesystem::path next = directory_ / "next";
    std::ofstream(next) << text;
    chmod(next.c_str(), mode);
    std::filesystem::rename(next, path());
  }

 private:
  std::filesystem::path directory_;
};

}  // namespace pinboard
