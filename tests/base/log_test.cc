// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace pinboard {
namespace {

using testing::MatchesRegex;

class LogTest : public testing::Test {
 protected:
  static std::string Written(LogLevel threshold, void (*log)(),
                             LogFormat format = LogFormat::kText) {
    testing::internal::CaptureStderr();
    InitLog("pinboard rank 1", threshold, format);
    log();
    return testing::internal::GetCapturedStderr();
  }
};

TEST_F(LogTest, ALineHasTimeLevelProcessAndMessage) {
  const std::string line =
      Written(LogLevel::kWarning, [] { LogWarning("page ", 7, " is gone: ", 0.5); });
  EXPECT_THAT(line, MatchesRegex("[0-9]+-[0-9]+-[0-9]+T[0-9]+:[0-9]+:[0-9]+\\.[0-9]+Z W "
                                 "pinboard rank 1\\[[0-9]+\\] page 7 is gone: 0\\.5\n"));
}

TEST_F(LogTest, LevelsBelowTheThresholdAreQuiet) {
  EXPECT_EQ(Written(LogLevel::kWarning,
                    [] {
                      LogLine(LogLevel::kDebug, "d");
                      LogInfo("i");
                    }),
            "");
  EXPECT_EQ(Written(LogLevel::kOff, [] { LogError("e"); }), "");
  EXPECT_NE(Written(LogLevel::kDebug, [] { LogLine(LogLevel::kDebug, "d"); }), "");
}

TEST_F(LogTest, AMessageStaysOneLineWhateverIsInIt) {
  const std::string line =
      Written(LogLevel::kError, [] { LogError("from a peer: a\nb\r{}\x1b[31m"); });
  EXPECT_THAT(line, testing::EndsWith("from a peer: a b {} [31m\n"));
}

TEST_F(LogTest, FieldsFollowTheMessage) {
  const std::string line = Written(LogLevel::kInfo, [] {
    LogLine(LogLevel::kInfo, "left", {{"client", "7"}, {"why", "a\nb"}});
    LogLine(LogLevel::kDebug, "quiet", {{"client", "7"}});
  });
  EXPECT_THAT(line, testing::EndsWith(" left client=7 why=a b\n"));
}

TEST_F(LogTest, AsJsonALineIsAnObjectWhateverIsInIt) {
  const std::string line = Written(
      LogLevel::kWarning,
      [] {
        LogLine(LogLevel::kWarning, "a \"b\"\\\n{}\xff", {{"request", "12"}});
      },
      LogFormat::kJson);
  EXPECT_THAT(line, MatchesRegex("\\{\"time\":\"[-0-9T:.]+Z\",\"level\":\"warning\","
                                 "\"process\":\"pinboard rank 1\",\"pid\":[0-9]+,"
                                 "\"message\":\"a \\\\\"b\\\\\"\\\\\\\\\\\\u000a\\{\\}\\\\u00ff\","
                                 "\"request\":\"12\"\\}\n"));
  InitLog("pinboard", LogLevel::kWarning);
}

TEST_F(LogTest, LevelsAreReadByName) {
  EXPECT_EQ(*ParseLogLevel("debug"), LogLevel::kDebug);
  EXPECT_EQ(*ParseLogLevel("off"), LogLevel::kOff);
  EXPECT_EQ(*ParseLogFormat("json"), LogFormat::kJson);
  EXPECT_EQ(ParseLogFormat("xml").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ParseLogLevel("loud").status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace pinboard
