// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "base/fault_point.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>
#include <string>

#include "base/clock.h"

namespace pinboard {
namespace {

using ::testing::HasSubstr;

constexpr const char* kPoints[] = {"here", "there"};

absl::Status Arm(const std::string& fault) {
  setenv("PINBOARD_FAULT", fault.c_str(), 1);
  const absl::Status armed = ArmFaultPoints(kPoints);
  unsetenv("PINBOARD_FAULT");
  return armed;
}

/// How a process ends that arms `fault` and passes "here" `passages` times; it exits with 7.
int EndOf(const std::string& fault, int passages) {
  const pid_t child = fork();
  if (child == 0) {
    if (!Arm(fault).ok()) _exit(1);
    for (int i = 0; i < passages; ++i) FaultPoint("here");
    _exit(7);
  }
  int status = 0;
  waitpid(child, &status, WUNTRACED);
  if (WIFSTOPPED(status)) {
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
  }
  return status;
}

TEST(FaultPointTest, KillsTheProcessAtThePassageThatIsAskedFor) {
  const int alive = EndOf("here=3:kill", 2);
  EXPECT_TRUE(WIFEXITED(alive));
  const int dead = EndOf("here=3:kill", 3);
  EXPECT_TRUE(WIFSIGNALED(dead));
  EXPECT_EQ(WTERMSIG(dead), SIGKILL);
}

TEST(FaultPointTest, StopsTheProcess) { EXPECT_TRUE(WIFSTOPPED(EndOf("there=kill,here=stop", 1))); }

TEST(FaultPointTest, ADelayHoldsUpWhoPasses) {
  ASSERT_EQ(Arm("here=2:delay:3"), absl::OkStatus());
  const absl::Time start = SteadyNow();
  for (int i = 0; i < 4; ++i) FaultPoint("here");
  EXPECT_GE(SteadyNow() - start, absl::Milliseconds(3));
}

TEST(FaultPointTest, WithoutTheVariableNothingIsArmed) {
  unsetenv("PINBOARD_FAULT");
  EXPECT_EQ(ArmFaultPoints(kPoints), absl::OkStatus());
}

TEST(FaultPointTest, WhatCannotBeReadIsRefusedInOneLine) {
  EXPECT_THAT(Arm("nowhere=kill").message(),
              HasSubstr("no point \"nowhere\"; there are here, there"));
  for (const char* wrong : {"", "here", "here=", "here=0:kill", "here=explode", "here=delay",
                            "here=delay:soon", "here=kill:3", "here=kill,"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(Arm(wrong))) << wrong;
  }
}

}  // namespace
}  // namespace pinboard
