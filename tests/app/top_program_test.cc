// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// `pinboard top` as a person runs it: on a terminal, against real services.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tests/app/program.h"
#include "tests/app/pty_program.h"
#include "tests/app/refusal.h"
#include "tests/cache_service/daemon.h"
#include "tests/cache_service/test_pages.h"
#include "tests/support/free_port.h"

namespace pinboard::app {
namespace {

using cache_service::Daemon;
using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

std::vector<std::string> Top(const std::string& services, std::vector<std::string> more = {}) {
  std::vector<std::string> arguments = {
      BuiltProgram("pinboard"), "top", "--service", services, "--interval", "0.1"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

void WaitForText(PtyProgram& program, const std::string& text) {
  WaitUntil([&] { return absl::StrContains(program.Screen(), text); });
}

constexpr char kEnter[] = "\x1b[?1049h\x1b[?25l";
constexpr char kLeave[] = "\x1b[?25h\x1b[?1049l";

TEST(TopProgram, DrawsAScreenAndPutsTheTerminalBackOnQ) {
  const Daemon daemon(1 << 20);
  PtyProgram program(Top(daemon.address()));
  WaitForText(program, "0 evicted");
  EXPECT_THAT(program.Screen(), StartsWith(kEnter));
  EXPECT_THAT(program.Screen(), HasSubstr("q: quit"));
  EXPECT_THAT(program.Screen(), HasSubstr("0 B of 1 MiB, 0 pages in 0 extents"));
  EXPECT_FALSE(program.IsAsBefore()) << "keys are read as they come";
  program.Type("x");  // means nothing
  program.ClearScreen();
  WaitForText(program, "0 evicted");
  program.Type("q");
  EXPECT_EQ(program.Wait(), 0);
  EXPECT_THAT(program.Screen(), EndsWith(kLeave));
  EXPECT_TRUE(program.IsAsBefore());
}

/// Also where the signal comes to a thread of a library that is older than the program's own.
TEST(TopProgram, PutsTheTerminalBackOnASignal) {
  setenv("OPENBLAS_NUM_THREADS", "2", 1);
  const Daemon daemon(1 << 20);
  for (const auto& [end, code] : {std::pair(SIGINT, 130), {SIGTERM, 143}, {SIGHUP, 129}}) {
    PtyProgram program(Top(daemon.address()));
    WaitForText(program, "0 evicted");
    if (end == SIGINT) {
      program.Type("\x03");  // Ctrl-C
    } else {
      program.Signal(end);
    }
    EXPECT_EQ(program.Wait(), code);
    EXPECT_THAT(program.Screen(), EndsWith(kLeave));
    EXPECT_TRUE(program.IsAsBefore());
  }
}

TEST(TopProgram, AServiceThatDiesIsGoneUntilItIsBack) {
  const std::string address = FreeLoopbackAddress();
  const Daemon stays(1 << 20);
  auto dies = std::make_unique<Daemon>(2 << 20, address);
  PtyProgram program(Top(absl::StrCat(stays.address(), ",", address)));
  WaitForText(program, " of 2 MiB");
  dies->process().Signal(SIGKILL);
  program.ClearScreen();
  WaitForText(program, absl::StrCat(address, "   gone: "));
  program.ClearScreen();
  WaitForText(program, " of 1 MiB");
  dies = std::make_unique<Daemon>(4 << 20, address);
  WaitForText(program, " of 4 MiB");
  program.ClearScreen();
  WaitForText(program, " of 1 MiB");
  EXPECT_THAT(program.Screen(), Not(HasSubstr("gone")));
}

TEST(TopProgram, WithoutATerminalItIsPlainText) {
  const Daemon daemon(1 << 20);
  auto store = cache_service::ConnectOverUcx(daemon.address());
  ASSERT_TRUE(store.ok());
  for (std::uint32_t page = 0; page < 3; ++page) {
    ASSERT_TRUE(PublishTestPage(**store, cache_service::TestPage(page)).ok());
  }
  EXPECT_TRUE(FetchTestPage(**store, cache_service::TestPage(0)).pin.ok());
  Program program(Top(daemon.address(), {"--count", "3"}));
  ASSERT_EQ(program.Wait(), 0) << program.Err();
  EXPECT_THAT(program.Err(), IsEmpty());
  EXPECT_THAT(program.Out(), Not(HasSubstr("\x1b")));
  EXPECT_THAT(program.Out(), HasSubstr("   2 clients, this one too\n"));
  EXPECT_THAT(program.Out(), HasSubstr("3 pages in 1 extents"));
  EXPECT_THAT(program.Out(), ContainsRegex("misses/s: 0 unknown, 0 evicted"));
  EXPECT_THAT(program.Out(), ContainsRegex("fetch [0-9]+ / [0-9]+, publish"));
}

TEST(TopProgram, WhereNothingCanBeWrittenItEnds) {
  const std::string command = absl::StrJoin(Top(FreeLoopbackAddress()), " ");
  EXPECT_THAT(Refusal({"/bin/sh", "-c", command + " > /dev/full"}, 1),
              StartsWith("cannot write standard output: No space"));
}

TEST(TopProgram, WrongUsageIsOneLineAndExitCodeTwo) {
  EXPECT_THAT(Refusal(Top("here"), 2), HasSubstr("--service: "));
  EXPECT_THAT(Refusal(Top("127.0.0.1:1,"), 2), HasSubstr("--service: "));
  EXPECT_THAT(Refusal(Top("127.0.0.1:1", {"--interval", "0"}), 2),
              AllOf(HasSubstr("--interval is 0: use 0.1 to 3600"), Not(HasSubstr("\n\n"))));
}

}  // namespace
}  // namespace pinboard::app
