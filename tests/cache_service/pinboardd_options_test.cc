// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "app/pinboardd/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pinboard::app {
namespace {

std::string ErrorOf(const std::vector<std::string>& arguments) {
  const auto options = ParseDaemonOptions(arguments);
  EXPECT_TRUE(absl::IsInvalidArgument(options.status())) << options.status();
  return std::string(options.status().message());
}

TEST(PinboarddOptionsTest, DefaultsAreLoopback) {
  const auto options = ParseDaemonOptions({});
  ASSERT_EQ(options.status(), absl::OkStatus());
  EXPECT_EQ(options->listen, "127.0.0.1:7700");
  EXPECT_EQ(options->metrics, "127.0.0.1:9400");
  EXPECT_EQ(options->arena_bytes, std::uint64_t{1} << 30);
  EXPECT_FALSE(options->exit_with_parent);
  EXPECT_EQ(options->watermarks.high, 0.98);
  EXPECT_EQ(options->watermarks.low, 0.95);
}

TEST(PinboarddOptionsTest, ValuesFollowOrAreJoinedByAnEqualsSign) {
  const auto options = ParseDaemonOptions(
      {"--listen=:0", "--arena", "64 MiB", "--metrics", "none", "--exit-with-parent",
       "--log-level=debug", "--address-file", "a=b", "--eviction=lru", "--watermarks", "90:80.5"});
  ASSERT_EQ(options.status(), absl::OkStatus());
  EXPECT_EQ(options->listen, "127.0.0.1:0");
  EXPECT_EQ(options->arena_bytes, 64 << 20);
  EXPECT_EQ(options->metrics, "");
  EXPECT_TRUE(options->exit_with_parent);
  EXPECT_EQ(options->log_level, LogLevel::kDebug);
  EXPECT_EQ(options->address_file, "a=b");
  EXPECT_EQ(options->eviction->Value({.mean_information = 1, .last_used = absl::UnixEpoch()}), 0);
  EXPECT_EQ(options->watermarks.high, 0.9);
  EXPECT_EQ(options->watermarks.low, 0.805);
}

TEST(PinboarddOptionsTest, MistakesAreNamed) {
  EXPECT_THAT(ErrorOf({"--arean", "1GiB"}), ::testing::HasSubstr("--arean"));
  EXPECT_THAT(ErrorOf({"--arena"}), ::testing::HasSubstr("--arena needs a value"));
  EXPECT_THAT(ErrorOf({"--arena", "lots"}), ::testing::StartsWith("--arena: "));
  EXPECT_THAT(ErrorOf({"--listen", "nowhere"}), ::testing::StartsWith("--listen: "));
  EXPECT_THAT(ErrorOf({"--log-level", "loud"}), ::testing::StartsWith("--log-level: "));
  EXPECT_THAT(ErrorOf({"--eviction", "mru"}), ::testing::StartsWith("--eviction: "));
  EXPECT_THAT(ErrorOf({"--watermarks", "80:90"}), ::testing::StartsWith("--watermarks: "));
  EXPECT_THAT(ErrorOf({"--help=yes"}), ::testing::HasSubstr("takes no value"));
  EXPECT_THAT(ErrorOf({"stray"}), ::testing::HasSubstr("stray"));
}

TEST(PinboarddOptionsTest, HelpNamesEveryOption) {
  for (const char* option :
       {"--listen", "--arena", "--eviction", "--watermarks", "--metrics", "--log-level",
        "--address-file", "--exit-with-parent", "--help", "--version"}) {
    EXPECT_THAT(DaemonHelp(), ::testing::HasSubstr(option));
  }
}

}  // namespace
}  // namespace pinboard::app
