// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/inventory/arena.h"

#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <random>
#include <set>
#include <vector>

#include "tests/support/seeded_random.h"

namespace pinboard::cache_service {
namespace {

constexpr std::uint64_t kChunk = 4096;

TEST(ArenaTest, SlabsAreAlignedDistinctAndInsideTheirSegment) {
  Arena arena({2 * kChunk, kChunk}, kChunk);
  EXPECT_EQ(arena.FreeSlabs(1000), 12);
  std::set<std::pair<std::uint32_t, std::uint64_t>> places;
  while (const auto slab = arena.Allocate(1000)) {
    const SlabPlace place = arena.Place(*slab);
    EXPECT_EQ(place.bytes, 1024);
    EXPECT_EQ(place.offset % kSlabAlignment, 0);
    EXPECT_LE(place.offset + place.bytes, place.segment == 0 ? 2 * kChunk : kChunk);
    EXPECT_TRUE(places.emplace(place.segment, place.offset).second);
  }
  EXPECT_EQ(places.size(), 12);
  EXPECT_EQ(arena.FreeSlabs(1000), 0);
  EXPECT_EQ(arena.used_bytes(), 12 * 1024);
}

TEST(ArenaTest, AnEmptiedChunkServesAnotherSize) {
  Arena arena({kChunk}, kChunk);
  const auto large = arena.Allocate(kChunk);
  ASSERT_TRUE(large.has_value());
  EXPECT_FALSE(arena.Allocate(256).has_value());
  arena.Free(*large);
  EXPECT_EQ(arena.FreeSlabs(256), 16);
  EXPECT_TRUE(arena.Allocate(256).has_value());
  EXPECT_EQ(arena.FreeSlabs(kChunk), 0);
}

TEST(ArenaTest, ASegmentsEndThatIsNoChunkIsNotUsed) {
  EXPECT_EQ(Arena({kChunk + 100}, kChunk).capacity_bytes(), kChunk);
  EXPECT_EQ(Arena({kChunk - 1}, kChunk).capacity_bytes(), 0);
}

TEST(ArenaTest, FragmentationIsThePartOfOpenChunksThatIsFree) {
  Arena arena({4 * kChunk}, kChunk);
  std::vector<SlabIndex> slabs;
  slabs.reserve(5);
  for (int i = 0; i < 5; ++i) slabs.push_back(*arena.Allocate(1024));
  EXPECT_EQ(arena.assigned_bytes(), 2 * kChunk);
  arena.Free(slabs[4]);
  EXPECT_EQ(arena.assigned_bytes(), kChunk);
}

TEST(ArenaTest, ASlabsIndexTellsItsChunkAndSlot) {
  std::mt19937 random(TestSeed());
  for (const std::uint32_t slabs : {2U, 3U, 7U, 4096U, 8191U, 8192U, 1U << 20 | 1}) {
    const Arena arena({}, std::uint64_t{slabs} * kSlabAlignment);
    std::vector<std::uint32_t> indices = {
        0, slabs - 1, slabs, 2 * slabs - 1, 0xffffffff, 0xffffffff / slabs * slabs - 1};
    for (int i = 0; i < 1000; ++i) indices.push_back(random());
    for (const std::uint32_t index : indices) {
      const SlabAddress address = arena.AddressOf(SlabIndex(index));
      ASSERT_EQ(address.chunk.value(), index / slabs) << index << " of " << slabs;
      ASSERT_EQ(address.slot, index % slabs) << index << " of " << slabs;
      ASSERT_EQ(arena.IndexOf(address).value(), index);
    }
  }
}

TEST(ArenaTest, AChunkMayHoldOneSlab) {
  Arena arena({4 * std::uint64_t{kSlabAlignment}}, kSlabAlignment);
  std::set<ChunkIndex> chunks;
  while (const std::optional<SlabIndex> slab = arena.Allocate(1)) {
    chunks.insert(arena.AddressOf(*slab).chunk);
    EXPECT_EQ(arena.AddressOf(*slab).slot, 0);
  }
  EXPECT_EQ(chunks.size(), 4);
}

TEST(ArenaTest, NoRandomHistoryGivesOneByteToTwoSlabs) {
  std::mt19937 random(TestSeed());
  Arena arena({8 * kChunk, 3 * kChunk}, kChunk);
  std::map<std::pair<std::uint32_t, std::uint64_t>, std::uint64_t> used;  // start -> end
  std::vector<SlabIndex> slabs;
  for (int step = 0; step < 20000; ++step) {
    if (random() % 2 == 0 && !slabs.empty()) {
      std::swap(slabs[random() % slabs.size()], slabs.back());
      const SlabPlace place = arena.Place(slabs.back());
      used.erase({place.segment, place.offset});
      arena.Free(slabs.back());
      slabs.pop_back();
      continue;
    }
    const std::uint64_t bytes = std::vector<std::uint64_t>{200, 700, 1024, 4096}[random() % 4];
    const bool promised = arena.FreeSlabs(bytes) > 0;
    const auto slab = arena.Allocate(bytes);
    ASSERT_EQ(slab.has_value(), promised);
    if (!slab.has_value()) continue;
    const SlabPlace place = arena.Place(*slab);
    const auto next = used.lower_bound({place.segment, place.offset});
    if (next != used.end() && next->first.first == place.segment) {
      ASSERT_LE(place.offset + place.bytes, next->first.second);
    }
    if (next != used.begin() && std::prev(next)->first.first == place.segment) {
      ASSERT_LE(std::prev(next)->second, place.offset);
    }
    used[{place.segment, place.offset}] = place.offset + place.bytes;
    slabs.push_back(*slab);
  }
  for (const SlabIndex slab : slabs) arena.Free(slab);
  EXPECT_EQ(arena.used_bytes(), 0);
  EXPECT_EQ(arena.assigned_bytes(), 0);
}

}  // namespace
}  // namespace pinboard::cache_service
