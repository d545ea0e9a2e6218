// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/app/program.h"

namespace pinboard::app {
namespace {

using ::testing::SizeIs;
using ::testing::StartsWith;

class Launch : public ::testing::Test {
 protected:
  static std::vector<std::string> Probe(const std::string& mode, int tp) {
    return {BuiltProgram("rank_group_probe"), mode, std::to_string(tp)};
  }
};

TEST_F(Launch, EveryRankTakesPartAndOneWritesTheResult) {
  for (const int tp : {1, 3}) {
    Program probe(Probe("ok", tp));
    EXPECT_EQ(probe.Wait(), 0) << probe.Err();
    EXPECT_EQ(probe.Out(), tp == 1 ? "sum 1 of 1 ranks\n" : "sum 6 of 3 ranks\n");
    EXPECT_EQ(probe.Err(), "");
  }
}

TEST_F(Launch, WrongUsageStartsNothing) {
  Program refused(Probe("refused", 2));
  EXPECT_EQ(refused.Wait(), 2);
  EXPECT_EQ(refused.Out(), "");
  EXPECT_EQ(refused.Err(), "pinboard: not like this\n");
  Program too_many(Probe("ok", 65));
  EXPECT_EQ(too_many.Wait(), 2);
  EXPECT_EQ(too_many.Err(), "pinboard: --tp is 65: use 1 to 64\n");
}

TEST_F(Launch, TheErrorOfOneRankIsTheProgramsOneLine) {
  Program probe(Probe("error", 3));
  EXPECT_EQ(probe.Wait(), 1);
  EXPECT_EQ(probe.Err(), "pinboard: the last rank is not content\n");
}

TEST_F(Launch, ARankThatIsKilledIsNamedAndTheOthersEndByThemselves) {
  Program probe(Probe("killed", 3));
  EXPECT_EQ(probe.Wait(), 1);
  EXPECT_THAT(probe.Err(),
              StartsWith("pinboard: rank 2 was killed by signal 9 (Killed); the others "
                         "kept everything and ended: "));
  EXPECT_TRUE(IsOneLine(probe.Err())) << probe.Err();
}

TEST_F(Launch, ARankThatExitsIsNamedToo) {
  Program probe(Probe("exits", 2));
  EXPECT_EQ(probe.Wait(), 1);
  EXPECT_THAT(probe.Err(), StartsWith("pinboard: rank 1 ended with exit code 3"));
  EXPECT_TRUE(IsOneLine(probe.Err())) << probe.Err();
}

TEST_F(Launch, AnInterruptEndsEverything) {
  Program probe(Probe("waits", 2));
  WaitUntil([&] { return probe.Out() == "sum 3 of 2 ranks\n"; });
  const std::vector<pid_t> ranks = probe.Children();
  EXPECT_THAT(ranks, SizeIs(2));
  probe.Signal(SIGINT);
  EXPECT_EQ(probe.Wait(), 130);
  EXPECT_EQ(probe.Err(), "pinboard: interrupted\n");
  for (const pid_t rank : ranks) EXPECT_TRUE(IsGone(rank));
}

TEST_F(Launch, RanksDoNotOutliveTheirSupervisor) {
  Program probe(Probe("waits", 2));
  WaitUntil([&] { return probe.Out() == "sum 3 of 2 ranks\n"; });
  const std::vector<pid_t> ranks = probe.Children();
  EXPECT_THAT(ranks, SizeIs(2));
  probe.Signal(SIGKILL);
  probe.Wait();
  WaitUntil([&] { return std::all_of(ranks.begin(), ranks.end(), IsGone); });
}

}  // namespace
}  // namespace pinboard::app
