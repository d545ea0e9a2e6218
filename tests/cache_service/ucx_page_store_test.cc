// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The conformance suite over UCX with the service in a process of its own.
#include <gtest/gtest.h>

#include "tests/cache_service/daemon.h"
#include "tests/cache_service/page_store_conformance.h"

namespace pinboard::cache_service {
namespace {

struct UcxWorld {
  static UcxWorld Make(std::size_t arena_bytes) { return {std::make_unique<Daemon>(arena_bytes)}; }
  std::unique_ptr<PageStore> Connect(std::uint64_t group) const {
    auto store = ConnectOverUcx(daemon->address(), group);
    EXPECT_EQ(store.status(), absl::OkStatus());
    return *std::move(store);
  }
  std::unique_ptr<Daemon> daemon;
};

INSTANTIATE_TYPED_TEST_SUITE_P(Ucx, PageStoreConformance, ::testing::Types<UcxWorld>);

}  // namespace
}  // namespace pinboard::cache_service
