// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "transport/fabric/ucx/ucx_fabric.h"

#include <cstdlib>

#include "tests/conformance/fabric_conformance.h"

namespace pinboard::transport {
namespace {

struct UcxEnvironment {
  std::unique_ptr<Fabric> Make() {
    auto fabric = MakeUcxFabric();
    EXPECT_TRUE(fabric.ok()) << fabric.status();
    return *std::move(fabric);
  }
  std::string AnyAddress() { return "127.0.0.1:0"; }
};

/// As between two hosts.
struct UcxOverSockets : UcxEnvironment {
  UcxOverSockets() { setenv("UCX_TLS", "tcp,self", 1); }
  ~UcxOverSockets() { unsetenv("UCX_TLS"); }
};

INSTANTIATE_TYPED_TEST_SUITE_P(Ucx, FabricConformance, UcxEnvironment);
INSTANTIATE_TYPED_TEST_SUITE_P(UcxOverSockets, FabricConformance, UcxOverSockets);

}  // namespace
}  // namespace pinboard::transport
