// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "base/text_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace pinboard {
namespace {

using ::testing::StartsWith;

TEST(ReadTextFile, EveryByteIsThere) {
  const std::string path = ::testing::TempDir() + "/pinboard-text-" + std::to_string(getpid());
  for (const std::size_t bytes : {0, 3, 1 << 14, 100'001}) {
    std::string text(bytes, '\0');
    if (bytes > 2) text[2] = '\n';
    std::ofstream(path, std::ios::binary) << text;
    EXPECT_EQ(*ReadTextFile(path), text) << bytes;
  }
  std::filesystem::remove(path);
}

TEST(ReadTextFile, WhatCannotBeReadIsNamed) {
  const auto absent = ReadTextFile("/nowhere/at-all").status();
  EXPECT_EQ(absent.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(absent.message(), "/nowhere/at-all: No such file or directory");
  const auto folder = ReadTextFile("/proc").status();
  EXPECT_EQ(folder.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(folder.message(), "/proc: Is a directory");
  // A file as any other, but its first byte lies where no process has memory.
  const auto failing = ReadTextFile("/proc/self/mem").status();
  EXPECT_EQ(failing.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(failing.message()), StartsWith("/proc/self/mem: Input/output error"));
}

}  // namespace
}  // namespace pinboard
