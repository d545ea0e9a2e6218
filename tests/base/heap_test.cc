// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "base/heap.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <thread>

namespace pinboard {
namespace {

TEST(HeapBytesInUse, FollowsWhatAllThreadsHave) {
  const std::uint64_t before = HeapBytesInUse();
  if (before == 0) GTEST_SKIP() << "a sanitizer's heap";
  for (const std::size_t bytes : {std::size_t{100'000}, std::size_t{100} << 20}) {
    std::unique_ptr<std::byte[]> memory;
    std::thread([&] { memory.reset(new std::byte[bytes]); }).join();
    EXPECT_GE(HeapBytesInUse(), before + bytes);
    memory.reset();
    EXPECT_LT(HeapBytesInUse(), before + bytes);
  }
}

}  // namespace
}  // namespace pinboard
