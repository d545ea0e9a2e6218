// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "base/text_file.h"

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "absl/strings/str_cat.h"

namespace pinboard {
namespace {

absl::Status CannotRead(const std::string& path) {
  const auto code =
      errno == ENOENT ? absl::StatusCode::kNotFound : absl::StatusCode::kInvalidArgument;
  return absl::Status(code, absl::StrCat(path, ": ", std::strerror(errno)));
}

}  // namespace

absl::StatusOr<std::string> ReadTextFile(const std::string& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "re"),
                                                             &std::fclose);
  if (file == nullptr) return CannotRead(path);
  std::string text;
  std::array<char, 1 << 14> part;
  while (const std::size_t read = std::fread(part.data(), 1, part.size(), file.get())) {
    text.append(part.data(), read);
  }
  if (std::ferror(file.get()) != 0) return CannotRead(path);
  return text;
}

}  // namespace pinboard
