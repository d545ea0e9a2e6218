// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/conformance/communicator_conformance.h"
#include "tests/conformance/rank_threads.h"
#include "transport/collective/host/host_communicator.h"
#include "transport/fabric/loopback/loopback.h"

namespace pinboard::transport {
namespace {

struct HostOverLoopback : RankThreads {
  static std::vector<int> Sizes() { return {2, 3, 4}; }
  LoopbackHub hub;

  std::unique_ptr<Communicator> Make(int rank, int size) {
    auto communicator = MakeHostCommunicator(hub.MakeFabric(), rank, size, "test:1", Patience());
    EXPECT_TRUE(communicator.ok()) << communicator.status();
    return communicator.ok() ? *std::move(communicator) : nullptr;
  }
};

INSTANTIATE_TYPED_TEST_SUITE_P(HostOverLoopback, CommunicatorConformance, HostOverLoopback);

}  // namespace
}  // namespace pinboard::transport
