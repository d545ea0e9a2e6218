// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Faults of the network between members that keep each page twice: no page is lost, nothing hangs,
// and soon after the fault's end all is as it was.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <functional>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_join.h"
#include "base/clock.h"
#include "base/log.h"
#include "tests/fault/fault_members.h"
#include "tests/fault/fault_settings.h"
#include "tests/fault/test_network.h"

namespace pinboard::testing {
namespace {

using cache_service::PageRef;

constexpr absl::Duration kHangs = absl::Seconds(30);
constexpr Link kWell = {};
constexpr Link kCut = {.cut = true};

class MemberNetworkTest : public ::testing::Test {
 protected:
  void SetUp() override {
    InitLog("faults", LogLevel::kOff);
    const absl::Status may = CheckMayMakeNetworks();
    if (!may.ok()) GTEST_SKIP() << may << ": run as root on a kernel with TUN";
    setenv("UCX_TLS", "tcp,self", 1);
    setenv("UCX_NET_DEVICES", NetworkNode::kInterface, 1);
    network_ = std::make_unique<TestNetwork>(FaultMembers::kMembers + 1, TestSeed());
    std::vector<std::string> addresses;
    for (int i = 0; i < FaultMembers::kMembers; ++i) {
      addresses.push_back(NetworkNode::HostName(i) + ":7700");
    }
    members_ = std::make_unique<FaultMembers>(
        addresses,
        std::vector<std::string>{"--members", absl::StrJoin(addresses, ","), "--replicas", "2"},
        ::testing::TempDir(),
        [this](int host, const std::function<void()>& task) { network_->node(host).Run(task); });
    for (int i = 0; i < FaultMembers::kMembers; ++i) ASSERT_TRUE(members_->StartMember(i));
    ASSERT_TRUE(AreWellSoon()) << "the members do not find each other";
    members_->StartClients();
  }

  bool AreWellSoon() {
    return FaultMembers::Await([this] { return members_->AreWell(); }, kHangs);
  }

  /// A fault of the link between members 0 and 1, while both are used; then member 0 is lost.
  void PlayWith(
      const Link& there, const Link& back, absl::Duration lasts,
      const std::function<void()>& before_its_end = [] {}) {
    auto writer = members_->Connect(0);
    auto reader = members_->Connect(1);
    ASSERT_TRUE(writer != nullptr && reader != nullptr);
    std::vector<PageRef> pages = FaultMembers::Pages(1000);
    for (const PageRef& page : pages) ASSERT_TRUE(FaultMembers::Publish(*writer, page));
    ASSERT_TRUE(AreWellSoon()) << "copies are not made";

    const std::vector<std::uint64_t> hits = members_->Hits();
    SetLinks(there, back);
    const absl::Time end = SteadyNow() + lasts;
    for (const PageRef& page : FaultMembers::Pages(2000)) {
      ASSERT_TRUE(FaultMembers::Publish(*writer, page));
      EXPECT_EQ(FaultMembers::CountRead(*writer, {page}), 1) << "its own member has it";
      pages.push_back(page);
    }
    do {
      EXPECT_GE(FaultMembers::CountRead(*reader, pages), 0) << "where it is cut off, a miss";
    } while (SteadyNow() < end);
    before_its_end();
    for (int i = 0; i < FaultMembers::kClients; ++i) {
      EXPECT_GT(members_->Hits()[i], hits[i]) << "client " << i << " hangs";
    }
    SetLinks(kWell, kWell);
    const absl::Time healed = SteadyNow();
    ASSERT_TRUE(AreWellSoon()) << "it stays as it was in the fault";
    const absl::Duration recovery = SteadyNow() - healed;
    std::cout << "recovered " << recovery << " after the end of " << lasts << std::endl;
    EXPECT_LT(recovery, FaultPatience());

    EXPECT_EQ(members_->EndClients(FaultPatience()), "");
    EXPECT_EQ(members_->FindMembersMistakes(), "");
    members_->KillMember(0);
    EXPECT_TRUE(FaultMembers::Await(
        [&] { return FaultMembers::CountRead(*reader, pages) == std::ssize(pages); }, kHangs))
        << "pages are lost with a member";
  }

  void SetLinks(const Link& there, const Link& back) {
    network_->relay().Set(0, 1, there);
    network_->relay().Set(1, 0, back);
  }

  std::unique_ptr<TestNetwork> network_;  // ends after what runs there
  std::unique_ptr<FaultMembers> members_;
};

// Longer than a member waits for an answer.
TEST_F(MemberNetworkTest, ALinkThatIsCutIsDoneWithoutAndUsedAgainSoon) {
  PlayWith(kCut, kCut, absl::Seconds(4));
}

// Each is gone to the other: copies are made elsewhere.
TEST_F(MemberNetworkTest, ALinkThatIsCutForLongMakesTwoMembersGoneForEachOther) {
  PlayWith(kCut, kCut, absl::Seconds(8), [this] {
    EXPECT_TRUE(FaultMembers::Await([this] { return members_->HasItsCopies(0); }, kHangs));
  });
}

TEST_F(MemberNetworkTest, ALinkThatIsCutThereIsUsedAgainSoon) {
  PlayWith(kCut, kWell, absl::Seconds(4));
}

TEST_F(MemberNetworkTest, ALinkThatIsCutBackIsUsedAgainSoon) {
  PlayWith(kWell, kCut, absl::Seconds(4));
}

TEST_F(MemberNetworkTest, ALateLinkLosesNoPage) {
  const Link late = {.delay = absl::Milliseconds(200)};
  PlayWith(late, late, absl::Seconds(3));
}

TEST_F(MemberNetworkTest, ALinkThatLosesPacketsLosesNoPage) {
  const Link lossy = {.loss = 0.05};
  PlayWith(lossy, lossy, absl::Seconds(3));
}

}  // namespace
}  // namespace pinboard::testing
