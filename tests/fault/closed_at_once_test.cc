// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// At a member's address is somebody who closes each connection at once: the others do without, and
// find the member soon once it is there.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <atomic>
#include <functional>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "base/clock.h"
#include "base/log.h"
#include "tests/fault/fault_members.h"
#include "tests/fault/fault_settings.h"
#include "transport/fabric/ucx/ucx_fabric.h"

namespace pinboard::testing {
namespace {

using cache_service::PageRef;

constexpr absl::Duration kHangs = absl::Seconds(30);
constexpr absl::Duration kLasts = absl::Seconds(4);

/// Accepts and closes until it ends.
class Closer {
 public:
  explicit Closer(const std::string& address) : fabric_(*transport::MakeUcxFabric()) {
    fabric_->OnAccepted([this](transport::PeerId peer) {
      ++closed_;
      fabric_->Close(peer);
    });
    EXPECT_EQ(fabric_->Listen(address).status(), absl::OkStatus());
    thread_ = std::thread([this] {
      while (!stop_) fabric_->WaitUntil(absl::InfiniteFuture());
    });
  }
  ~Closer() {
    stop_ = true;
    fabric_->Wake();
    thread_.join();
  }
  int closed() const { return closed_; }

 private:
  const std::unique_ptr<transport::Fabric> fabric_;
  std::atomic<int> closed_ = 0;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

TEST(ClosedAtOnceTest, WhoClosesEachConnectionIsDoneWithoutAndTriedAgain) {
  InitLog("faults", LogLevel::kOff);
  unsetenv("UCX_TLS");
  setenv("UCX_NET_DEVICES", "lo", 1);
  const std::vector<std::string> addresses = FaultMembers::FreeAddresses();
  FaultMembers members(addresses, {"--members", absl::StrJoin(addresses, ","), "--replicas", "2"},
                       ::testing::TempDir(),
                       [](int, const std::function<void()>& task) { task(); });
  auto closer = std::make_unique<Closer>(addresses[2]);
  const absl::Time start = SteadyNow();
  ASSERT_TRUE(members.StartMember(0) && members.StartMember(1));
  members.StartClients();
  auto writer = members.Connect(0);
  auto reader = members.Connect(1);
  ASSERT_TRUE(writer != nullptr && reader != nullptr);
  const absl::Time end = SteadyNow() + kLasts;
  const std::vector<PageRef> pages = FaultMembers::Pages(1000);
  for (const PageRef& page : pages) {
    ASSERT_TRUE(FaultMembers::Publish(*writer, page));
    EXPECT_EQ(FaultMembers::CountRead(*writer, {page}), 1);
    EXPECT_GE(FaultMembers::CountRead(*reader, {page}), 0);
  }
  EXPECT_TRUE(FaultMembers::Await(
      [&] { return FaultMembers::CountRead(*reader, pages) == std::ssize(pages); }, kHangs))
      << "the two do not serve each other";
  while (SteadyNow() < end) absl::SleepFor(absl::Milliseconds(5));
  EXPECT_GE(closer->closed(), 4) << "of both members, each tried again and again";
  for (const std::uint64_t hits : members.Hits()) EXPECT_GT(hits, 0U);
  const double seconds = absl::ToDoubleSeconds(SteadyNow() - start);
  EXPECT_LE(closer->closed(), 4 * (8 + seconds)) << "by each, soon no more than once a second";
  closer.reset();
  ASSERT_TRUE(members.StartMember(2));
  const absl::Time healed = SteadyNow();
  ASSERT_TRUE(FaultMembers::Await([&] { return members.AreWell(); }, kHangs));
  const absl::Duration recovery = SteadyNow() - healed;
  std::cout << "recovered " << recovery << " after the member's start" << std::endl;
  EXPECT_LT(recovery, FaultPatience());
  EXPECT_EQ(members.EndClients(FaultPatience()), "");
  EXPECT_EQ(members.FindMembersMistakes(), "");
  members.KillMember(0);
  EXPECT_TRUE(FaultMembers::Await(
      [&] { return FaultMembers::CountRead(*reader, pages) == std::ssize(pages); }, kHangs))
      << "pages are lost with a member";
}

}  // namespace
}  // namespace pinboard::testing
