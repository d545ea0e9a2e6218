// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// pinboardds that are told to end: what they had, others have.
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>

#include "absl/strings/str_cat.h"
#include "cache_service/fault_points.h"
#include "tests/cache_service/member_daemons.h"

namespace pinboard::cache_service {
namespace {

constexpr int kPages = 400;

std::vector<PageRef> PublishPages(PageStore& store) {
  std::vector<PageRef> pages;
  for (int i = 0; i < kPages; ++i) {
    pages.push_back(TestPage(i));
    EXPECT_EQ(PublishTagged(store, pages.back()), absl::OkStatus());
  }
  return pages;
}

// A drain that waits for its deadline outlasts the test's.
const std::vector<std::string> kLongDrain = {"--arena", "16MiB", "--drain-deadline", "1h"};

TEST(DrainDaemonsTest, AllPagesOfADrainedMemberAreReadableThroughAnother) {
  MemberDaemons members(3, kLongDrain);
  const auto store = members.Connect(0);
  const std::vector<PageRef> pages = PublishPages(*store);
  members.Await(0, "pages", kPages);  // over sockets the last are on their way
  members.process(0).Signal(SIGTERM);
  EXPECT_EQ(members.process(0).Wait(), 0);
  EXPECT_EQ(members.Count(1, "pages") + members.Count(2, "pages"), kPages) << "each on one";
  EXPECT_EQ(CountReadable(*members.Connect(1), pages), kPages);
}

TEST(DrainDaemonsTest, ItDoesNotWaitForTheDead) {
  MemberDaemons members(2, kLongDrain);
  const auto store = members.Connect(0);
  PublishPages(*store);
  members.Kill(1);
  members.process(0).Signal(SIGTERM);
  EXPECT_EQ(members.process(0).Wait(), 0);
}

TEST(DrainDaemonsTest, ItDoesNotWaitForTheStopped) {
  MemberDaemons members(2, kLongDrain);
  const auto store = members.Connect(0);
  PublishPages(*store);
  members.process(1).Signal(SIGSTOP);
  members.process(0).Signal(SIGTERM);
  EXPECT_EQ(members.process(0).Wait(), 0);
}

TEST(DrainDaemonsTest, WithADeadlineOfZeroItLeavesAtOnce) {
  MemberDaemons members(2, {"--arena", "16MiB", "--drain-deadline", "0"});
  const auto store = members.Connect(0);
  PublishPages(*store);
  members.process(0).Signal(SIGTERM);
  EXPECT_EQ(members.process(0).Wait(), 0);
  EXPECT_EQ(members.Count(1, "pages"), 0);
}

// It is stopped as it makes its first offer, which is of a part of the pages.
TEST(DrainDaemonsTest, ASecondSignalEndsIt) {
  setenv("PINBOARD_FAULT", absl::StrCat(fault::kOffering, "=stop").c_str(), 1);
  MemberDaemons members(2, kLongDrain);
  unsetenv("PINBOARD_FAULT");
  const auto store = members.Connect(0);
  PublishPages(*store);
  members.Await(0, "pages", kPages);
  members.process(0).Signal(SIGTERM);
  members.process(0).WaitUntilStopped();
  members.process(0).Signal(SIGINT);
  members.process(0).Signal(SIGCONT);
  EXPECT_EQ(members.process(0).Wait(), 0);
  EXPECT_LT(members.Count(1, "pages"), kPages);
}

}  // namespace
}  // namespace pinboard::cache_service
