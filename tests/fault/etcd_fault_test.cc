// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// etcd ends and is started again while members that keep themselves there serve clients.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "base/clock.h"
#include "base/log.h"
#include "tests/cache_service/etcd_server.h"
#include "tests/fault/fault_members.h"
#include "tests/fault/fault_service.h"
#include "tests/fault/fault_settings.h"

namespace pinboard::testing {
namespace {

using cache_service::PageRef;

constexpr absl::Duration kHangs = absl::Seconds(30);
// More than the time to live of what members keep in etcd.
constexpr absl::Duration kAway = absl::Seconds(5);

/// How many others a member knows of; nothing where it does not answer.
std::optional<std::uint64_t> OthersKnown(const std::string& address) {
  const auto counts = AskCounts(address);
  if (!counts.has_value()) return std::nullopt;
  return counts->at("peers{state=\"up\"}") + counts->at("peers{state=\"down\"}");
}

TEST(EtcdFaultTest, WhileEtcdIsAwayMembersServeOnAndNobodyIsForgotten) {
  if (!cache_service::HaveEtcd()) GTEST_SKIP() << "no etcd here: apt-get install etcd-server";
  InitLog("faults", LogLevel::kOff);
  unsetenv("UCX_TLS");
  setenv("UCX_NET_DEVICES", "lo", 1);
  cache_service::EtcdServer etcd;
  const std::vector<std::string> addresses = FaultMembers::FreeAddresses();
  FaultMembers members(
      addresses, {"--etcd", etcd.endpoint(), "--etcd-ttl", "2s", "--replicas", "2"},
      ::testing::TempDir(), [](int, const std::function<void()>& task) { task(); });
  const auto are_well = [&] { return members.AreWell(); };
  for (int i = 0; i < FaultMembers::kMembers; ++i) ASSERT_TRUE(members.StartMember(i));
  ASSERT_TRUE(FaultMembers::Await(are_well, kHangs));
  members.StartClients();
  auto writer = members.Connect(0);
  auto reader = members.Connect(1);
  ASSERT_TRUE(writer != nullptr && reader != nullptr);

  std::vector<PageRef> pages;
  // Publishes and reads at any member, and looks that each one knows both others all the while.
  const auto work = [&](std::uint64_t sequence) {
    const std::vector<std::uint64_t> hits = members.Hits();
    const absl::Time end = SteadyNow() + kAway;
    for (const PageRef& page : FaultMembers::Pages(sequence)) {
      ASSERT_TRUE(FaultMembers::Publish(*writer, page));
      pages.push_back(page);
    }
    EXPECT_TRUE(FaultMembers::Await(
        [&] { return FaultMembers::CountRead(*reader, pages) == std::ssize(pages); }, kHangs));
    do {
      for (const std::string& address : addresses) {
        EXPECT_EQ(OthersKnown(address).value_or(2), 2U) << address << " has forgotten a member";
      }
    } while (SteadyNow() < end);
    for (int i = 0; i < FaultMembers::kClients; ++i) EXPECT_GT(members.Hits()[i], hits[i]);
    EXPECT_TRUE(FaultMembers::Await(are_well, kHangs));
  };
  etcd.Stop();
  work(1000);
  etcd.Start();
  work(2000);
  EXPECT_EQ(members.EndClients(FaultPatience()), "");
  EXPECT_EQ(members.FindMembersMistakes(), "");

  // What changes is seen again: who dies is forgotten, who starts is found.
  members.KillMember(0);
  EXPECT_TRUE(FaultMembers::Await(
      [&] { return OthersKnown(addresses[1]) == 1U && OthersKnown(addresses[2]) == 1U; }, kHangs));
  EXPECT_TRUE(FaultMembers::Await(
      [&] { return FaultMembers::CountRead(*reader, pages) == std::ssize(pages); }, kHangs))
      << "pages are lost with a member";
  ASSERT_TRUE(members.StartMember(0));
  EXPECT_TRUE(FaultMembers::Await(are_well, kHangs));
}

}  // namespace
}  // namespace pinboard::testing
