// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Members whose tenants come and go.
#include <gtest/gtest.h>

#include "tests/cache_service/keyed_service.h"
#include "tests/cache_service/loopback_members.h"
#include "tests/cache_service/raw_client.h"

namespace pinboard::cache_service {
namespace {

const std::string kOneTenant = "alpha 1 " + kAlphaKey + "\n";

ServerOptions WithKeys(const ScratchFile& keys) {
  ServerOptions options = LoopbackMembers::Options(1024 * kTestPageBytes, 2);
  options.key_file = keys.path();
  return options;
}

// Files are looked at four times a second: whoever sees a tenant first is not to be refused.
TEST(KeyedMembersTest, AMemberIsMetForATenantThatWasAddedAMomentAgo) {
  ScratchFile keys(kOneTenant);
  LoopbackMembers members(1, WithKeys(keys));
  auto listed = members.All();
  listed.push_back({.name = "third", .address = "loopback:1", .incarnation = 1});
  members[0].membership().Tell(listed);
  members[0].Await("peers{state=\"down\"}", 1);
  RawClient third(members.hub().MakeFabric(), members[0].self().address);
  keys.Replace(kTwoTenants);
  third.GreetAs(Beta(), 1, kMemberFeatures);
  third.Send(Introduce{"third", 1});
  third.Receive<PeerGroups>();
  EXPECT_EQ(members[0].Count("refused_connections_total"), 0);
  EXPECT_EQ(members[0].Count("unknown_members_total"), 0);
}

TEST(KeyedMembersTest, ATenantThatIsTakenOutIsAwaitedAtNoMember) {
  ScratchFile keys(kOneTenant);
  LoopbackMembers members(2, WithKeys(keys));
  keys.Replace(kTwoTenants);
  for (const int member : {0, 1}) members[member].Await("peers{state=\"up\"}", 2);
  keys.Replace(kOneTenant);
  for (const int member : {0, 1}) {
    members[member].Await("peers{state=\"up\"}", 1);
    members[member].Await("peers{state=\"down\"}", 0);
  }
}

}  // namespace
}  // namespace pinboard::cache_service
