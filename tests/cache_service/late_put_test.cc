// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A Put that is still under way when its client's slabs are given up.
#include <gtest/gtest.h>

#include <vector>

#include "tests/cache_service/loopback_members.h"
#include "tests/cache_service/raw_client.h"
#include "transport/fabric/loopback/loopback.h"

namespace pinboard::cache_service {
namespace {

SlabLocation LeaseOne(RawClient& client) {
  LeaseReply reply;
  const absl::Time give_up = Soon();
  while (reply.slabs.empty() && SteadyNow() < give_up) {
    reply = client.Ask<LeaseReply>(LeaseRequest{1, kTestPageBytes});
  }
  return reply.slabs.at(0);
}

TEST(LatePutTest, OfAConnectionThatWasGivenUpItReachesNoSlabOfAnother) {
  transport::LoopbackHub hub;
  LoopbackMember service(hub, "loopback:0", LoopbackMembers::Options(kTestPageBytes, 1));
  service.Start({service.self()});
  auto fabric = hub.MakeFabric();
  transport::Fabric& late = *fabric;
  RawClient first(std::move(fabric), service.self().address);
  const Welcome welcome = first.Greet();
  const SlabLocation slab = LeaseOne(first);
  const auto segment = first.Map(slab.segment);
  hub.Stall(late, true);
  const std::vector<std::byte> stale(kTestPageBytes, std::byte{0x5a});
  late.Put(*segment, slab.offset, stale, nullptr);

  RawClient again(hub.MakeFabric(), service.self().address);
  again.Greet();
  again.Send(Goodbye{welcome.client});
  const SlabLocation same = LeaseOne(again);  // there is one
  const auto mapped = again.Map(same.segment);
  std::vector<std::byte> page(kTestPageBytes);
  FillTestPage(TestPage(1), absl::MakeSpan(page));
  again.Put(*mapped, same.offset, page);
  hub.Stall(late, false);
  std::vector<std::byte> found(kTestPageBytes);
  again.Get(*mapped, same.offset, absl::MakeSpan(found));
  EXPECT_EQ(found, page);
}

}  // namespace
}  // namespace pinboard::cache_service
