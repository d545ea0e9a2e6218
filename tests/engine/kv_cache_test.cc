// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "engine/kv_cache.h"

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
  EXPECT_EQ(table.Grow(state, 48).code(), absl::StatusCode::kResourceExhausted);
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
  EXPECT_EQ(table.Grow(state, 30).code(), absl::StatusCode::kResourceExhausted);
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
      const auto cache = *KvCache::Create(Options(dtype, false, block_size));
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
  const auto cache = *KvCache::Create(Options(DType::kBF16, false, 16));
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
  const auto cache = *KvCache::Create(options);
  EXPECT_EQ(cache->blocks(), 2 * 5);
  EXPECT_EQ(cache->BlockBytes(), 16U * 2 * (6 + 6) * 4);
  EXPECT_EQ(cache->TokenBytes(), 2 * cache->BlockBytes() / 16);
  EXPECT_EQ(cache->layer(0).key.base, cache->layer(1).key.base);
  const std::vector<std::int32_t> first = {9}, second = {0};
  cache->WriteRows(0, first, 0, 1, Counting(12, 1), Counting(12, 20));
  cache->WriteRows(1, second, 0, 1, Counting(12, 40), Counting(12, 60));
  const auto saved = cache->SaveBlocks(first);
  EXPECT_EQ(saved.size(), cache->BlockBytes());
  cache->WriteRows(0, first, 0, 1, Counting(12, 80), Counting(12, 80));
  cache->RestoreBlocks(first, saved);
  std::vector<float> out(6);
  cache->ReadKeys(0, first, 1, 0, out.data());
  EXPECT_EQ(out[0], 1.0F);
  cache->ReadKeys(1, second, 1, 0, out.data());
  EXPECT_EQ(out[0], 40.0F);
}

TEST(KvCacheTest, MlaRowsHoldTheLatentOnce) {
  const auto cache = *KvCache::Create(Options(DType::kBF16, true, 16));
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
  const auto cache = *KvCache::Create(Options(DType::kF32, false, 16));
  const std::vector<std::int32_t> source = {0}, target = {4};
  for (int layer = 0; layer < 2; ++layer) {
    cache->WriteRows(layer, source, 0, 1, Counting(12, layer), Counting(12, 50 + layer));
  }
  cache->CopyBlocks(source, target);
  cache->WriteRows(1, source, 0, 1, Counting(12, 200), Counting(12, 200));
  std::vector<float> out(6);
  cache->ReadKeys(1, target, 1, 0, out.data());
  EXPECT_EQ(out[0], 1.0F);
  cache->ReadValues(0, target, 1, 1, out.data());
  EXPECT_EQ(out[0], 56.0F);
}

TEST(KvCacheTest, OptionsThatMakeNoSenseAreNamed) {
  const auto error = [](const KvCacheOptions& options) {
    return std::string(KvCache::Create(options).status().message());
  };
  EXPECT_THAT(error(Options(DType::kBF16, false, 24)), HasSubstr("block size 24"));
  EXPECT_THAT(error(Options(DType::kF16, false, 16)), HasSubstr("bf16 or f32"));
  KvCacheOptions options = Options(DType::kBF16, false, 16);
  options.blocks = 0;
  EXPECT_THAT(error(options), HasSubstr("at least one"));
}

}  // namespace
}  // namespace pinboard::engine
