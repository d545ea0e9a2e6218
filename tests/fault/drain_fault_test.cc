// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// One fault at a time while a member of three drains: its own, at each step, and its heir's.
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "base/log.h"
#include "cache_service/fault_points.h"
#include "cache_service/page_store.h"
#include "tests/fault/fault_members.h"
#include "tests/fault/fault_settings.h"

namespace pinboard::testing {
namespace {

namespace fault = cache_service::fault;
using cache_service::PageRef;
using cache_service::PageStore;

constexpr absl::Duration kHangs = absl::Seconds(20);
constexpr absl::Duration kShortDrain = absl::Milliseconds(400);
constexpr absl::Duration kLongDrain = absl::Hours(1);  // outlasts the test's patience
constexpr int kPages = 48;

/// Members that drain. Pages are of an extent each, so that every other member is heir to some.
class DrainFaultTest : public ::testing::Test {
 protected:
  DrainFaultTest() {
    InitLog("faults", LogLevel::kOff);
    MapPages(true);
    setenv("UCX_NET_DEVICES", "lo", 1);
  }

  /// Three members, of which `armed` has a fault.
  void Start(int replicas, absl::Duration drain_deadline, int armed, const std::string& fault) {
    ASSERT_FALSE(HasFailure()) << "at the point before";
    const std::vector<std::string> addresses = FaultMembers::FreeAddresses();
    writers_.clear();
    pages_.clear();
    members_.reset();
    members_ = std::make_unique<FaultMembers>(
        addresses,
        std::vector<std::string>{"--members", absl::StrJoin(addresses, ","), "--replicas",
                                 std::to_string(replicas), "--drain-deadline",
                                 absl::FormatDuration(drain_deadline)},
        ::testing::TempDir(), [](int, const std::function<void()>& task) { task(); });
    for (int i = 0; i < FaultMembers::kMembers; ++i) {
      ASSERT_TRUE(members_->StartMember(i, i == armed ? fault : ""));
    }
    ASSERT_TRUE(Await([this] { return members_->AreWell(); }));
  }

  /// Publishes `count` more pages at a member, which has them then, and waits for their copies.
  void PublishAt(int member, int count) {
    writers_.push_back(members_->Connect(member));
    PageStore* const writer = writers_.back().get();
    ASSERT_NE(writer, nullptr);
    std::vector<PageRef> pages;
    for (int i = 0; i < count; ++i) {
      pages.push_back({{.sequence = 1000 + pages_.size(), .page = 0}, 1});
      ASSERT_TRUE(FaultMembers::Publish(*writer, pages.back()));
      pages_.push_back(pages.back());
    }
    ASSERT_TRUE(Await([&] { return FaultMembers::CountRead(*writer, pages) == count; }));
    ASSERT_TRUE(Await([this] { return members_->AreWell(); }));
  }

  void ExpectAllAreReadAt(int member) {
    std::unique_ptr<PageStore> reader;
    int read = 0;
    const auto are_read = [&] {
      if (reader == nullptr) reader = members_->Connect(member);
      read = reader == nullptr ? 0 : FaultMembers::CountRead(*reader, pages_);
      return read == kPages;
    };
    EXPECT_TRUE(Await(are_read)) << read << " of " << kPages << " are read at member " << member;
  }

  void ExpectEnd(int member, int outcome) {
    Process& process = members_->member(member);
    ASSERT_TRUE(Await([&] { return process.Look() == Process::State::kEnded; }))
        << "member " << member << " does not end";
    EXPECT_EQ(process.outcome(), outcome);
  }

  void ExpectStop(int member) {
    Process& process = members_->member(member);
    ASSERT_TRUE(Await([&] { return process.Look() == Process::State::kStopped; }))
        << "member " << member << " does not stop";
  }

  /// The others have all pages, clients go on, and it is well once it has started again.
  void ExpectAllIsWellWithout(int member) {
    for (int i = 0; i < FaultMembers::kMembers; ++i) {
      if (i != member) ExpectAllAreReadAt(i);
    }
    const std::vector<std::uint64_t> before = members_->Hits();
    const auto go_on = [&] {
      const std::vector<std::uint64_t> hits = members_->Hits();
      return hits[0] > before[0] && hits[1] > before[1];
    };
    EXPECT_TRUE(Await(go_on)) << "a client reads no page any more";
    ASSERT_TRUE(members_->StartMember(member));
    ExpectAllIsWell();
    EXPECT_EQ(members_->EndClients(FaultPatience()), "");
  }

  void ExpectAllIsWell() {
    EXPECT_TRUE(Await([this] { return members_->AreWell(); }));
    for (int i = 0; i < FaultMembers::kMembers; ++i) ExpectAllAreReadAt(i);
    EXPECT_EQ(members_->FindMembersMistakes(), "");
  }

  static bool Await(const std::function<bool()>& so) { return FaultMembers::Await(so, kHangs); }

  std::unique_ptr<FaultMembers> members_;
  std::vector<std::unique_ptr<PageStore>> writers_;  // keep the group
  std::vector<PageRef> pages_;
};

// Half of the pages are its own, and some of the others are copies that it has. The clients use it.
TEST_F(DrainFaultTest, AMemberKilledAtAnyStepOfItsDrainLosesNothingThatWasCopied) {
  for (const char* point : fault::kDrainPoints) {
    SCOPED_TRACE(point);
    ASSERT_NO_FATAL_FAILURE(Start(2, kLongDrain, 0, absl::StrCat(point, "=kill")));
    members_->StartClients();
    ASSERT_NO_FATAL_FAILURE(PublishAt(1, kPages / 2));
    ASSERT_NO_FATAL_FAILURE(PublishAt(0, kPages / 2));
    members_->member(0).Signal(SIGTERM);
    ASSERT_NO_FATAL_FAILURE(ExpectEnd(0, -SIGKILL));
    ExpectAllIsWellWithout(0);
  }
}

TEST_F(DrainFaultTest, AMemberStoppedInItsDrainForLongerThanItMayTakeLosesNothingThatWasCopied) {
  for (const char* point : fault::kDrainPoints) {
    SCOPED_TRACE(point);
    ASSERT_NO_FATAL_FAILURE(Start(2, kShortDrain, 0, absl::StrCat(point, "=stop")));
    members_->StartClients();
    ASSERT_NO_FATAL_FAILURE(PublishAt(1, kPages / 2));
    ASSERT_NO_FATAL_FAILURE(PublishAt(0, kPages / 2));
    members_->member(0).Signal(SIGTERM);
    ASSERT_NO_FATAL_FAILURE(ExpectStop(0));
    absl::SleepFor(2 * kShortDrain);
    members_->member(0).Signal(SIGCONT);
    ASSERT_NO_FATAL_FAILURE(ExpectEnd(0, 0));
    ExpectAllIsWellWithout(0);
  }
}

// Each page is on one member, and the heir has taken none yet that it could lose.
TEST_F(DrainFaultTest, WhatAnHeirThatIsKilledWasOfferedGoesToTheNext) {
  for (const bool mapped : {true, false}) {
    MapPages(mapped);
    for (const char* point : {fault::kIntakeLeased, fault::kIntakeRead, fault::kIntakePublished}) {
      SCOPED_TRACE(absl::StrCat(point, mapped ? "" : ", over sockets"));
      ASSERT_NO_FATAL_FAILURE(Start(1, kLongDrain, 1, absl::StrCat(point, "=kill")));
      ASSERT_NO_FATAL_FAILURE(PublishAt(0, kPages));
      members_->member(0).Signal(SIGTERM);
      ASSERT_NO_FATAL_FAILURE(ExpectEnd(1, -SIGKILL));
      ASSERT_NO_FATAL_FAILURE(ExpectEnd(0, 0));
      ExpectAllAreReadAt(2);
      ASSERT_TRUE(members_->StartMember(0) && members_->StartMember(1));
      ExpectAllIsWell();
    }
  }
}

// It goes on once the pages, which it was reading, have gone with their member.
TEST_F(DrainFaultTest, WhatAnHeirThatIsStoppedWasOfferedGoesToTheNext) {
  for (const char* point : {fault::kIntakeLeased, fault::kIntakeRead, fault::kIntakePublished}) {
    SCOPED_TRACE(point);
    ASSERT_NO_FATAL_FAILURE(Start(1, kLongDrain, 1, absl::StrCat(point, "=stop")));
    ASSERT_NO_FATAL_FAILURE(PublishAt(0, kPages));
    members_->member(0).Signal(SIGTERM);
    ASSERT_NO_FATAL_FAILURE(ExpectStop(1));
    ASSERT_NO_FATAL_FAILURE(ExpectEnd(0, 0));
    ExpectAllAreReadAt(2);
    members_->member(1).Signal(SIGCONT);
    ASSERT_TRUE(members_->StartMember(0));
    ExpectAllIsWell();
  }
}

}  // namespace
}  // namespace pinboard::testing
