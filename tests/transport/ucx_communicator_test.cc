// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/conformance/communicator_conformance.h"
#include "tests/conformance/rank_threads.h"
#include "tests/support/free_port.h"
#include "transport/collective/host/host_communicator.h"
#include "transport/fabric/ucx/ucx_fabric.h"

namespace pinboard::transport {
namespace {

struct HostOverUcx : RankThreads {
  static std::vector<int> Sizes() { return {2, 3, 4}; }
  const std::string rendezvous = FreeLoopbackAddress();

  std::unique_ptr<Communicator> Make(int rank, int size) {
    auto fabric = MakeUcxFabric();
    EXPECT_TRUE(fabric.ok()) << fabric.status();
    auto communicator =
        MakeHostCommunicator(*std::move(fabric), rank, size, rendezvous, Patience());
    EXPECT_TRUE(communicator.ok()) << communicator.status();
    return communicator.ok() ? *std::move(communicator) : nullptr;
  }
};

INSTANTIATE_TYPED_TEST_SUITE_P(HostOverUcx, CommunicatorConformance, HostOverUcx);

}  // namespace
}  // namespace pinboard::transport
