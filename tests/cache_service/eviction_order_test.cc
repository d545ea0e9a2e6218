// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/inventory/eviction_order.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <vector>

#include "tests/support/seeded_random.h"

namespace pinboard::cache_service {
namespace {

using Entry = EvictionOrder::Entry;

constexpr std::uint64_t kSlabs = 70;  // of a chunk: a stripe, and a short one

Entry Page(std::int64_t value, std::uint32_t serial, std::uint32_t chunk, std::uint32_t slot) {
  return {{value, serial}, {ChunkIndex(chunk), slot}};
}

TEST(EvictionOrderTest, AmongEqualsTheEarlierLeaseLeavesFirstWithinAStripeAndBetweenStripes) {
  EvictionOrder order(2);
  for (const Entry& page : {Page(5, 3, 0, 1), Page(5, 2, 0, 4), Page(5, 4, 0, 0), Page(5, 1, 1, 66),
                            Page(5, 5, 1, 2)}) {
    order.Add(page, 256, kSlabs);
  }
  const auto judge = [](SlabAddress) { return std::optional<std::int64_t>(5); };
  for (std::uint32_t serial = 1; serial <= 5; ++serial) {
    const auto first = order.First(judge);
    ASSERT_TRUE(first.has_value());
    EXPECT_EQ(first->rank.serial, serial);
    order.Remove(first->slab);
  }
  EXPECT_EQ(order.First(judge), std::nullopt);
}

TEST(EvictionOrderTest, APageThatMayNotLeaveIsTakenOutOnce) {
  EvictionOrder order(1);
  order.Add(Page(1, 1, 0, 0), 256, kSlabs);
  order.Add(Page(2, 2, 0, 1), 256, kSlabs);
  int asked = 0;
  const auto judge = [&asked](SlabAddress slab) -> std::optional<std::int64_t> {
    ++asked;
    if (slab.slot == 0) return std::nullopt;
    return 2;
  };
  EXPECT_EQ(order.First(judge)->slab.slot, 1);
  EXPECT_EQ(asked, 2);
  EXPECT_EQ(order.First(256, judge)->slab.slot, 1);
  EXPECT_EQ(asked, 3);
}

/// Chunks of two sizes, pages whose values rise behind the order's back, against a search.
TEST(EvictionOrderTest, NoRandomHistoryDiffersFromASearch) {
  SeededRandom random;
  constexpr std::uint32_t kChunks = 6;
  EvictionOrder order(kChunks);
  std::map<SlabAddress, EvictionRank> pages;  // with their values now
  const auto size_of = [](ChunkIndex chunk) -> std::uint64_t {
    return chunk.value() % 2 == 0 ? 256 : 512;
  };
  const auto judge = [&pages](SlabAddress slab) { return std::optional(pages.at(slab).value); };
  const auto search = [&](std::optional<std::uint64_t> size) {
    std::optional<Entry> lowest;
    for (const auto& [slab, rank] : pages) {
      if (size.has_value() && size_of(slab.chunk) != size) continue;
      const Entry entry{rank, slab};
      if (!lowest.has_value() || entry < *lowest) lowest = entry;
    }
    return lowest;
  };
  for (std::uint32_t step = 0; step < 30000; ++step) {
    const SlabAddress slab{ChunkIndex(random.Int(0, kChunks - 1)),
                           static_cast<std::uint32_t>(random.Int(0, kSlabs - 1))};
    const auto found = pages.find(slab);
    switch (random.Int(0, 4)) {
      case 0:
        if (found != pages.end()) {
          order.Remove(slab);
          pages.erase(found);
        }
        break;
      case 1:
      case 2:
        if (found == pages.end()) {
          pages[slab] = {random.Int(-5, 5), step};
          order.Add({pages[slab], slab}, size_of(slab.chunk), kSlabs);
        }
        break;
      case 3:
        if (found != pages.end()) found->second.value += random.Int(0, 4);
        break;
      default:
        ASSERT_EQ(order.First(256, judge), search(256));
        ASSERT_EQ(order.First(judge), search(std::nullopt));
    }
  }
}

}  // namespace
}  // namespace pinboard::cache_service
