// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "transport/fabric/ucx/ucx_fabric.h"
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

INSTANTIATE_TYPED_TEST_SUITE_P(Ucx, FabricConformance, UcxEnvironment);

}  // namespace
}  // namespace pinboard::transport
