// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "engine/host_kv_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "engine/block_allocator.h"
#include "engine/sequence_table.h"

namespace pinboard::engine {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::int32_t> Allocate(BlockAllocator* allocator, int count) {
  std::vector<std::int32_t> table;
  EXPECT_TRUE(allocator->Allocate(count, &table).ok());
  return table;
}

TEST(BlockAllocatorTest, TheLowestFirstThenTheOneFreedLast) {
  BlockAllocator allocator(5);
  EXPECT_THAT(Allocate(&allocator, 3), ElementsAre(0, 1, 2));
  ASSERT_TRUE(allocator.Free({0, 2}).ok());
  EXPECT_EQ(allocator.free(), 4);
  EXPECT_THAT(Allocate(&allocator, 4), ElementsAre(0, 2, 3, 4));
}

TEST(BlockAllocatorTest, TooFewFreeBlocksChangeNothing) {
  BlockAllocator allocator(2);
  std::vector<std::int32_t> table = Allocate(&allocator, 1);
  const absl::Status status = allocator.Allocate(2, &table);
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(table, ElementsAre(0));
  EXPECT_EQ(allocator.free(), 1);
}

TEST(BlockAllocatorTest, AFreedBlockIsNotFreedAgain) {
  BlockAllocator allocator(4);
  Allocate(&allocator, 3);
  for (const std::vector<std::int32_t>& bad :
       {std::vector<std::int32_t>{0, 3}, std::vector<std::int32_t>{1, 1},
        std::vector<std::int32_t>{-1}, std::vector<std::int32_t>{4}}) {
    EXPECT_EQ(allocator.Free(bad).code(), absl::StatusCode::kInternal);
    EXPECT_EQ(allocator.free(), 1);
  }
  EXPECT_TRUE(allocator.Free({0, 1, 2}).ok());
}

TEST(BlockAllocatorTest, ASharedBlockIsFreeWhenItsLastHolderLetsGo) {
  BlockAllocator allocator(3);
  Allocate(&allocator, 2);
  ASSERT_TRUE(allocator.Share({0, 1}).ok());
  EXPECT_EQ(allocator.holders(1), 2);
  EXPECT_EQ(allocator.Share({0, 2}).code(), absl::StatusCode::kInternal);
  EXPECT_EQ(allocator.holders(0), 2) << "nothing was changed";
  ASSERT_TRUE(allocator.Free({0, 1}).ok());
  EXPECT_EQ(allocator.free(), 1);
  ASSERT_TRUE(allocator.Free({1}).ok());
  EXPECT_EQ(allocator.free(), 2);
  EXPECT_EQ(allocator.Free({0, 1}).code(), absl::StatusCode::kInternal);
  EXPECT_EQ(allocator.holders(0), 1);
}

int NoOwnRows(std::uint64_t, int) { return 0; }

/// Sequence 1 with `rows` rows; 2 shares them but for the first `own_rows`.
struct Sharers {
  Sharers(int blocks, int rows, int own_rows = 0) : table(blocks, 16, /*tables=*/1) {
    EXPECT_TRUE(table.Add(1).ok());
    EXPECT_TRUE(table.Add(2).ok());
    first_state = *table.Find(1);
    second_state = *table.Find(2);
    first = first_state->tables.data();
    second = second_state->tables.data();
    EXPECT_TRUE(table.Grow(first_state, rows).ok());
    first->rows = second->rows = rows;
    copies = *table.Share(*first_state, {own_rows}, second_state);
    EXPECT_EQ(table.Census(NoOwnRows), absl::OkStatus());
  }

  SequenceTable table;
  SequenceState* first_state;
  SequenceState* second_state;
  RowTable* first;
  RowTable* second;
  BlockCopies copies;
};

TEST(SequenceTableTest, SharedBlocksCountOnceButThoseOfTheRing) {
  Sharers sharers(6, 50, 16);
  EXPECT_THAT(sharers.first->blocks, ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(sharers.second->blocks, ElementsAre(4, 1, 2, 3));
  EXPECT_THAT(sharers.copies.from, ElementsAre(0));
  EXPECT_THAT(sharers.copies.to, ElementsAre(4));
  EXPECT_EQ(sharers.table.free_blocks(), 1);
  EXPECT_EQ(sharers.table.shared_blocks(), 3);
  EXPECT_THAT(std::string(sharers.table.Census([](std::uint64_t, int) { return 32; }).message()),
              HasSubstr("shares blocks that are written in place"));
  ASSERT_TRUE(sharers.table.Remove(1).ok());
  EXPECT_EQ(sharers.table.free_blocks(), 2);
  ASSERT_TRUE(sharers.table.Remove(2).ok());
  EXPECT_EQ(sharers.table.free_blocks(), 6);
}

TEST(SequenceTableTest, WhoeverWritesIntoASharedBlockFirstGetsACopy) {
  Sharers sharers(4, 20);
  EXPECT_EQ(sharers.table.MissingBlocks(*sharers.first_state, 0), 0);
  EXPECT_EQ(sharers.table.MissingBlocks(*sharers.first_state, 4), 1);
  EXPECT_EQ(sharers.table.MissingBlocks(*sharers.first_state, 20), 2);
  const BlockCopies copies = *sharers.table.Grow(sharers.first_state, 4);
  EXPECT_THAT(copies.from, ElementsAre(1));
  EXPECT_THAT(copies.to, ElementsAre(2));
  EXPECT_THAT(sharers.first->blocks, ElementsAre(0, 2));
  EXPECT_THAT(sharers.second->blocks, ElementsAre(0, 1));
  EXPECT_EQ(sharers.table.MissingBlocks(*sharers.second_state, 4), 0)
      << "it owns the block alone now";
  EXPECT_THAT(sharers.table.Grow(sharers.second_state, 4)->to, ElementsAre());
  EXPECT_EQ(sharers.table.Census(NoOwnRows), absl::OkStatus());
}

TEST(SequenceTableTest, ADestinationReplacesTheSharedBlocksAlone) {
  Sharers sharers(8, 48);
  ASSERT_TRUE(sharers.table.Grow(sharers.first_state, 32).ok());
  sharers.first->rows = 80;  // three shared blocks, two of its own
  ASSERT_TRUE(sharers.table.Reserve(sharers.first_state, {20}).ok());
  EXPECT_THAT(sharers.first->destination, ElementsAre(5, 6));
  EXPECT_EQ(sharers.table.free_blocks(), 1);
  EXPECT_EQ(sharers.table.Census(NoOwnRows), absl::OkStatus());
  EXPECT_EQ(sharers.table.MissingBlocks(*sharers.first_state, 12), 1);
  EXPECT_EQ(sharers.table.MissingBlocks(*sharers.first_state, 16), 2)
      << "a row more than two blocks";
  ASSERT_TRUE(sharers.table.Truncate(sharers.second, 2).ok());
  EXPECT_EQ(sharers.table.MissingBlocks(*sharers.first_state, 16), 1) << "2 is no longer shared";
  ASSERT_TRUE(sharers.table.Grow(sharers.first_state, 16).ok());
  sharers.first->rows = 96;
  EXPECT_THAT(sharers.first->destination, ElementsAre(5, 6, 2));
  ASSERT_TRUE(sharers.table.Settle(sharers.first_state, {3}).ok());
  sharers.first->rows = 36;
  sharers.second->rows = 32;
  EXPECT_THAT(sharers.first->blocks, ElementsAre(5, 6, 2));
  EXPECT_THAT(sharers.second->blocks, ElementsAre(0, 1));
  EXPECT_EQ(sharers.table.free_blocks(), 3);
  EXPECT_EQ(sharers.table.shared_blocks(), 0);
  EXPECT_EQ(sharers.table.Census(NoOwnRows), absl::OkStatus());
}

TEST(SequenceTableTest, ARoundThatKeepsEverythingGivesBackWhatItReserved) {
  Sharers sharers(5, 48);
  EXPECT_EQ(sharers.table.Reserve(sharers.first_state, {47}).code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(sharers.first->destination, ElementsAre());
  ASSERT_TRUE(sharers.table.Reserve(sharers.first_state, {20}).ok());
  EXPECT_EQ(sharers.table.free_blocks(), 0);
  ASSERT_TRUE(sharers.table.Unreserve(sharers.first_state).ok());
  EXPECT_THAT(sharers.first->blocks, ElementsAre(0, 1, 2));
  EXPECT_EQ(sharers.table.free_blocks(), 2);
  ASSERT_TRUE(sharers.table.Reserve(sharers.first_state, {20}).ok());
  ASSERT_TRUE(sharers.table.Remove(1).ok());
  EXPECT_EQ(sharers.table.free_blocks(), 2);
  ASSERT_TRUE(sharers.table.Reserve(sharers.second_state, {20}).ok());
  EXPECT_THAT(sharers.second->destination, ElementsAre()) << "nothing is shared: in place";
}

TEST(SequenceTableTest, TheCensusNamesABlockThatStandsTwiceOrIsMiscounted) {
  Sharers sharers(4, 32);
  sharers.first->blocks[1] = 0;
  EXPECT_THAT(std::string(sharers.table.Census(NoOwnRows).message()),
              HasSubstr("block 0 stands twice in sequence 1"));
  sharers.first->blocks[1] = 3;
  EXPECT_THAT(std::string(sharers.table.Census(NoOwnRows).message()),
              HasSubstr("block 1 has 1 holders and 2 are counted"));
  sharers.first->blocks[1] = 1;
  sharers.first->rows = 33;
  EXPECT_THAT(std::string(sharers.table.Census(NoOwnRows).message()),
              HasSubstr("sequence 1 has 33 rows in 2 blocks"));
}

TEST(SequenceTableTest, TablesOfLayersAreSharedAndReservedEachByTheirOwnRows) {
  SequenceTable table(9, 16, /*tables=*/2);
  ASSERT_TRUE(table.Add(1).ok());
  ASSERT_TRUE(table.Add(2).ok());
  SequenceState* first = *table.Find(1);
  SequenceState* second = *table.Find(2);
  first->tables[0].rows = second->tables[0].rows = 18;
  first->tables[1].rows = second->tables[1].rows = 34;
  ASSERT_TRUE(table.Grow(first, 0).ok());
  const BlockCopies copies = *table.Share(*first, {16, 0}, second);
  EXPECT_THAT(copies.from, ElementsAre(0));
  EXPECT_THAT(copies.to, ElementsAre(5));
  EXPECT_THAT(second->tables[0].blocks, ElementsAre(5, 1));
  EXPECT_THAT(second->tables[1].blocks, ElementsAre(2, 3, 4));
  const auto ring = [](std::uint64_t, int layer) { return layer == 0 ? 16 : 0; };
  EXPECT_EQ(table.Census(ring), absl::OkStatus());

  EXPECT_EQ(table.Reserve(second, {18, 34}).code(), absl::StatusCode::kResourceExhausted)
      << "4 blocks in all, though either table alone would find its own";
  EXPECT_EQ(SequenceTable::ReservedBlocks(*second), 0) << "nothing was changed";
  ASSERT_TRUE(table.Reserve(second, {16, 34}).ok());
  EXPECT_THAT(second->tables[0].destination, ElementsAre(5)) << "its own block";
  EXPECT_THAT(second->tables[1].destination, ElementsAre(6, 7, 8));
  EXPECT_EQ(table.Census(ring), absl::OkStatus());
  ASSERT_TRUE(table.Settle(second, {1, 2}).ok());
  second->tables[0].rows = 16;
  second->tables[1].rows = 20;
  EXPECT_THAT(second->tables[1].blocks, ElementsAre(6, 7)) << "less stayed than was planned";
  EXPECT_EQ(table.free_blocks(), 1);
  EXPECT_EQ(table.shared_blocks(), 0);
  EXPECT_EQ(table.Census(ring), absl::OkStatus());
}

TEST(SequenceTableTest, BlocksFollowRowsAndGoBack) {
  SequenceTable table(4, 16, /*tables=*/1);
  ASSERT_TRUE(table.Add(1).ok());
  EXPECT_EQ(table.Add(1).code(), absl::StatusCode::kAlreadyExists);
  SequenceState* state = *table.Find(1);
  ASSERT_TRUE(table.Grow(state, 17).ok());
  state->tables[0].rows = 17;
  EXPECT_THAT(state->tables[0].blocks, ElementsAre(0, 1));
  EXPECT_EQ(table.MissingBlocks(*state, 15), 0);
  EXPECT_EQ(table.MissingBlocks(*state, 16), 1);
  EXPECT_EQ(table.Grow(state, 48).status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(table.Truncate(state->tables.data(), 3).code(), absl::StatusCode::kInternal);
  ASSERT_TRUE(table.Truncate(state->tables.data(), 1).ok());
  EXPECT_EQ(table.free_blocks(), 3);
  ASSERT_TRUE(table.Remove(1).ok());
  EXPECT_EQ(table.free_blocks(), 4);
  EXPECT_EQ(table.Remove(1).code(), absl::StatusCode::kNotFound);
}

TEST(SequenceTableTest, TablesOfLayersGrowEachByTheirOwnRowsFromOnePool) {
  SequenceTable table(5, 16, /*tables=*/2);
  ASSERT_TRUE(table.Add(1).ok());
  SequenceState* state = *table.Find(1);
  state->tables[0].rows = 3;
  state->tables[1].rows = 20;
  EXPECT_EQ(table.MissingBlocks(*state, 13), 1 + 3);
  ASSERT_TRUE(table.Grow(state, 13).ok());
  EXPECT_THAT(state->tables[0].blocks, ElementsAre(0));
  EXPECT_THAT(state->tables[1].blocks, ElementsAre(1, 2, 3));
  EXPECT_EQ(table.Grow(state, 30).status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(state->tables[0].blocks.size(), 1) << "nothing was changed";
  ASSERT_TRUE(table.Truncate(&state->tables[1], 1).ok());
  EXPECT_EQ(table.free_blocks(), 3);
  ASSERT_TRUE(table.Release(state).ok());
  EXPECT_EQ(table.free_blocks(), 5);
}

KvCacheOptions Options(DType dtype, bool mla, int block_size) {
  return {.shape = {.kv_heads = mla ? 1 : 2,
                    .key_dim = 6,
                    .value_dim = mla ? 4 : 6,
                    .value_in_key = mla,
                    .dtype = dtype},
          .layers = 2,
          .block_size = block_size,
          .blocks = 5};
}

/// Distinct, and exact in bfloat16.
std::vector<float> Counting(int count, float from) {
  std::vector<float> values(count);
  for (int i = 0; i < count; ++i) values[i] = from + static_cast<float>(i % 64);
  return values;
}

TEST(KvCacheTest, RowsComeBackThroughABlockTableOutOfOrder) {
  for (const int block_size : {16, 32, 64}) {
    for (const DType dtype : {DType::kF32, DType::kBF16}) {
      const auto cache = *HostKvCache::Create(Options(dtype, false, block_size));
      const std::vector<std::int32_t> table = {3, 0, 4};
      const int first = block_size - 2, rows = block_size + 5;
      const auto keys = Counting(rows * 12, 1), values = Counting(rows * 12, 100);
      cache->WriteRows(1, table, first, rows, keys, values);
      std::vector<float> out(static_cast<std::size_t>(first + rows) * 6);
      for (int head = 0; head < 2; ++head) {
        cache->ReadKeys(1, table, first + rows, head, out.data());
        for (int row = 0; row < rows; ++row) {
          EXPECT_EQ(out[(first + row) * 6 + 5], keys[row * 12 + head * 6 + 5]);
        }
        cache->ReadValues(1, table, first + rows, head, out.data());
        for (int row = 0; row < rows; ++row) {
          EXPECT_EQ(out[(first + row) * 6], values[row * 12 + head * 6]);
        }
      }
    }
  }
}

TEST(KvCacheTest, TheViewsStridesDescribeTheMemory) {
  const auto cache = *HostKvCache::Create(Options(DType::kBF16, false, 16));
  const std::vector<std::int32_t> table = {2};
  const auto keys = Counting(12, 1), values = Counting(12, 20);
  cache->WriteRows(0, table, 7, 1, keys, values);
  const KvPlane plane = cache->layer(0).value;
  const std::byte* slot =
      plane.base + 2 * plane.block_stride + 7 * plane.token_stride + plane.head_stride;
  std::uint16_t bits = 0;
  std::memcpy(&bits, slot + 2 * sizeof bits, sizeof bits);
  EXPECT_EQ(std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16), values[8]);
  EXPECT_EQ(cache->BlockBytes(), 2U * 16 * 2 * (6 + 6) * 2);
}

TEST(KvCacheTest, LayerBlocksAreOnePoolForAllLayers) {
  KvCacheOptions options = Options(DType::kF32, false, 16);
  options.layer_blocks = true;
  const auto cache = *HostKvCache::Create(options);
  EXPECT_EQ(cache->blocks(), 2 * 5);
  EXPECT_EQ(cache->BlockBytes(), 16U * 2 * (6 + 6) * 4);
  EXPECT_EQ(cache->TokenBytes(), 2 * cache->BlockBytes() / 16);
  EXPECT_EQ(cache->layer(0).key.base, cache->layer(1).key.base);
  const std::vector<std::int32_t> first = {9}, second = {0};
  cache->WriteRows(0, first, 0, 1, Counting(12, 1), Counting(12, 20));
  cache->WriteRows(1, second, 0, 1, Counting(12, 40), Counting(12, 60));
  const auto saved = *cache->SaveBlocks(first);
  EXPECT_EQ(saved.size(), cache->BlockBytes());
  cache->WriteRows(0, first, 0, 1, Counting(12, 80), Counting(12, 80));
  ASSERT_TRUE(cache->RestoreBlocks(first, saved).ok());
  std::vector<float> out(6);
  cache->ReadKeys(0, first, 1, 0, out.data());
  EXPECT_EQ(out[0], 1.0F);
  cache->ReadKeys(1, second, 1, 0, out.data());
  EXPECT_EQ(out[0], 40.0F);
}

TEST(KvCacheTest, MlaRowsHoldTheLatentOnce) {
  const auto cache = *HostKvCache::Create(Options(DType::kBF16, true, 16));
  EXPECT_EQ(cache->layer(0).value.base, nullptr);
  EXPECT_EQ(cache->BlockBytes(), 2U * 16 * 6 * 2);
  const auto keys = Counting(6, 3);
  const std::vector<std::int32_t> table = {1};
  cache->WriteRows(0, table, 0, 1, keys, {});
  std::vector<float> out(6);
  cache->ReadKeys(0, table, 1, 0, out.data());
  EXPECT_EQ(out, keys);
}

TEST(KvCacheTest, CopiedBlocksAreEqualInEveryLayerAndApart) {
  const auto cache = *HostKvCache::Create(Options(DType::kF32, false, 16));
  const std::vector<std::int32_t> source = {0}, target = {4};
  for (int layer = 0; layer < 2; ++layer) {
    cache->WriteRows(layer, source, 0, 1, Counting(12, layer), Counting(12, 50 + layer));
  }
  ASSERT_TRUE(cache->CopyBlocks(source, target).ok());
  cache->WriteRows(1, source, 0, 1, Counting(12, 200), Counting(12, 200));
  std::vector<float> out(6);
  cache->ReadKeys(1, target, 1, 0, out.data());
  EXPECT_EQ(out[0], 1.0F);
  cache->ReadValues(0, target, 1, 1, out.data());
  EXPECT_EQ(out[0], 56.0F);
}

TEST(KvCacheTest, OptionsThatMakeNoSenseAreNamed) {
  const auto error = [](const KvCacheOptions& options) {
    return std::string(HostKvCache::Create(options).status().message());
  };
  EXPECT_THAT(error(Options(DType::kBF16, false, 24)), HasSubstr("block size 24"));
  EXPECT_THAT(error(Options(DType::kF16, false, 16)), HasSubstr("bf16 or f32"));
  KvCacheOptions options = Options(DType::kBF16, false, 16);
  options.blocks = 0;
  EXPECT_THAT(error(options), HasSubstr("at least one"));
}

}  // namespace
}  // namespace pinboard::engine
