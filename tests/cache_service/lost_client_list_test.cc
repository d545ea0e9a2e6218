// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// How long lost clients are kept, without any connection.
#include <gtest/gtest.h>

#include <set>

#include "cache_service/server/lost_clients.h"
#include "tests/cache_service/test_pages.h"
#include "tests/support/fake_clock.h"

namespace pinboard::cache_service {
namespace {

class LostClientListTest : public ::testing::Test {
 protected:
  LostClientListTest() {
    tenant_.inventory.AddSegment(0, 4 * kTestPageBytes);
    other_tenant_.inventory.AddSegment(0, 4 * kTestPageBytes);
  }

  LostClient Make(std::uint32_t pid, std::uint64_t group = 1, Tenant* tenant = nullptr) {
    if (tenant == nullptr) tenant = &tenant_;
    LostClient made{tenant, ClientId(++last_client_), GroupId(group), {.host = 1, .pid = pid}};
    tenant->inventory.AddClient(made.client, made.group);
    running_.insert(pid);
    return made;
  }
  LostClient MakeHolder(std::uint32_t pid, std::uint64_t group = 1, Tenant* tenant = nullptr) {
    const LostClient made = Make(pid, group, tenant);
    EXPECT_TRUE(made.tenant->inventory.Lease(made.client, 1, kTestPageBytes).ok());
    return made;
  }
  std::uint64_t Quarantined() const { return tenant_.inventory.counts().quarantined_slabs; }

  const FakeClock clock_;
  Tenant tenant_{"one", kTestPageBytes, LowestInformation(), {1, 1}, clock_};
  Tenant other_tenant_{"other", kTestPageBytes, LowestInformation(), {1, 1}, clock_};
  std::set<std::uint32_t> running_;
  int looks_ = 0;
  LostClients lost_{[this](const ProcessIdentity& process) {
    ++looks_;
    return running_.contains(process.pid);
  }};

 private:
  std::uint64_t last_client_ = 0;
};

TEST_F(LostClientListTest, WhatIsHeldIsQuarantinedUntilTheProcessIsDead) {
  lost_.Add(MakeHolder(7), /*is_group_kept=*/true);
  EXPECT_EQ(lost_.CountOf(tenant_), 1);
  EXPECT_EQ(lost_.CountOf(other_tenant_), 0);
  EXPECT_FALSE(lost_.RemoveDead(clock_.Now()));
  EXPECT_EQ(Quarantined(), 1);
  running_.clear();
  EXPECT_FALSE(lost_.RemoveDead(clock_.Now())) << "it was looked at just now";
  EXPECT_TRUE(lost_.RemoveDead(lost_.next_look()));
  EXPECT_EQ(Quarantined(), 0);
  EXPECT_EQ(lost_.next_look(), absl::InfiniteFuture());
}

TEST_F(LostClientListTest, AProcessIsLookedForOnceForAllOfItsClients) {
  for (std::uint64_t group = 1; group <= 3; ++group) lost_.Add(Make(7, group), false);
  lost_.Add(Make(8), false);
  EXPECT_FALSE(lost_.RemoveDead(clock_.Now()));
  EXPECT_EQ(looks_, 2);
}

TEST_F(LostClientListTest, OneThatHoldsNothingIsKeptForItsGroupAlone) {
  lost_.Add(Make(7), /*is_group_kept=*/true);
  EXPECT_EQ(lost_.all().size(), 0);
  lost_.Add(Make(7), false);
  lost_.Add(Make(7), false);
  EXPECT_EQ(lost_.all().size(), 1) << "the first keeps the group";
  lost_.Add(Make(7, 1, &other_tenant_), false);
  lost_.Add(Make(8), false);
  EXPECT_EQ(lost_.all().size(), 3);
  lost_.TakePlaces(Make(7));
  EXPECT_EQ(lost_.all().size(), 2);
}

TEST_F(LostClientListTest, AProcessOfWhichManyHoldSomethingMayNotConnectUntilOneLetsGo) {
  constexpr int kMost = 64;
  Tenant large("large", kTestPageBytes, LowestInformation(), {1, 1}, clock_);
  large.inventory.AddSegment(0, 2 * kMost * kTestPageBytes);
  const LostClient first = MakeHolder(7, 0, &large);
  lost_.Add(first, false);
  for (int i = 1; i < kMost; ++i) {
    EXPECT_EQ(lost_.CheckMayConnect(large, first.process), absl::OkStatus());
    lost_.Add(MakeHolder(7, i, &large), false);
  }
  EXPECT_TRUE(absl::IsResourceExhausted(lost_.CheckMayConnect(large, first.process)));
  EXPECT_EQ(lost_.CheckMayConnect(tenant_, first.process), absl::OkStatus());
  EXPECT_EQ(lost_.CheckMayConnect(large, Make(8).process), absl::OkStatus());
  EXPECT_EQ(large.inventory.counts().quarantined_slabs, kMost) << "it may still write there";
  EXPECT_TRUE(lost_.Remove(first));
  EXPECT_EQ(lost_.CheckMayConnect(large, first.process), absl::OkStatus());
}

TEST_F(LostClientListTest, AGoodbyeEndsThatOfItsOwnProcessAlone) {
  const LostClient holder = MakeHolder(7);
  lost_.Add(holder, false);
  LostClient another = holder;
  another.process.pid = 8;
  EXPECT_FALSE(lost_.Remove(another));
  lost_.TakePlaces(Make(7));
  EXPECT_EQ(Quarantined(), 1);
  EXPECT_TRUE(lost_.Remove(holder));
  EXPECT_FALSE(lost_.Remove(holder));
  EXPECT_EQ(Quarantined(), 0);
}

}  // namespace
}  // namespace pinboard::cache_service
