// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "app/report/output_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace pinboard::app {
namespace {

absl::Status CannotWrite(const std::string& path, absl::StatusCode code) {
  return absl::Status(code, absl::StrCat("cannot write ", path, ": ", std::strerror(errno)));
}

}  // namespace

absl::Status CheckWritable(const std::string& path) {
  if (path == "-") return absl::OkStatus();
  const bool existed = access(path.c_str(), F_OK) == 0;
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) return CannotWrite(path, absl::StatusCode::kInvalidArgument);
  close(fd);
  if (!existed) unlink(path.c_str());
  return absl::OkStatus();
}

absl::Status WriteOutput(const std::string& path, const std::string& text) {
  if (path == "-") {
    const bool written =
        std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
    return written ? absl::OkStatus()
                   : CannotWrite("standard output", absl::StatusCode::kUnavailable);
  }
  std::FILE* file = std::fopen(path.c_str(), "we");
  if (file == nullptr) return CannotWrite(path, absl::StatusCode::kUnavailable);
  const bool written = std::fwrite(text.data(), 1, text.size(), file) == text.size();
  const bool closed = std::fclose(file) == 0;
  return written && closed ? absl::OkStatus() : CannotWrite(path, absl::StatusCode::kUnavailable);
}

}  // namespace pinboard::app
