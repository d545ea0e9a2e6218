// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Whole blocks in and out of the cache in device memory.
#include "engine/cuda/device_kv_cache.cuh"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "base/cuda/stream.h"
#include "tests/support/seeded_random.h"

namespace pinboard::engine {
namespace {

using ::testing::HasSubstr;

class DeviceKvCacheTest : public ::testing::Test {
 protected:
  std::unique_ptr<DeviceKvCache> Make(const KvCacheOptions& options) {
    return *DeviceKvCache::Create(options, stream_.get());
  }
  std::vector<std::byte> RandomBytes(std::size_t count) {
    std::vector<std::byte> bytes(count);
    for (std::byte& byte : bytes) byte = static_cast<std::byte>(random_.Int(0, 255));
    return bytes;
  }

  SeededRandom random_;
  cuda::Stream stream_ = *cuda::Stream::Create();
};

std::vector<std::int32_t> Shuffled(int blocks, SeededRandom& random) {
  std::vector<std::int32_t> all(blocks);
  std::iota(all.begin(), all.end(), 0);
  std::shuffle(all.begin(), all.end(), random.engine());
  return all;
}

TEST_F(DeviceKvCacheTest, SavedBlocksComeBackIntoOtherBlocks) {
  for (const bool latent : {false, true}) {
    for (const bool layer_blocks : {false, true}) {
      const auto cache = Make({.shape = {2, 12, 12, latent, DType::kBF16},
                               .layers = 3,
                               .blocks = 400,
                               .layer_blocks = layer_blocks});
      const std::vector<std::int32_t> order = Shuffled(cache->blocks(), random_);
      const absl::Span<const std::int32_t> all(order);
      const auto from = all.subspan(0, order.size() / 2), to = all.subspan(order.size() / 2);
      const std::vector<std::byte> bytes = RandomBytes(from.size() * cache->BlockBytes());
      ASSERT_TRUE(cache->RestoreBlocks(from, bytes).ok());
      ASSERT_TRUE(cache->RestoreBlocks(to, RandomBytes(to.size() * cache->BlockBytes())).ok());
      EXPECT_EQ(*cache->SaveBlocks(from), bytes);
      ASSERT_TRUE(cache->CopyBlocks(from, to.subspan(0, from.size())).ok());
      EXPECT_EQ(*cache->SaveBlocks(to.subspan(0, from.size())), bytes);
      EXPECT_EQ(*cache->SaveBlocks(from), bytes);
    }
  }
}

TEST_F(DeviceKvCacheTest, OptionsThatMakeNoSenseAreNamed) {
  const auto error = [&](const KvCacheOptions& options) {
    return std::string(DeviceKvCache::Create(options, stream_.get()).status().message());
  };
  KvCacheOptions options{.shape = {2, 12, 12, false, DType::kF32}, .layers = 1, .blocks = 4};
  EXPECT_THAT(error(options), HasSubstr("bf16"));
  options.shape.dtype = DType::kBF16;
  options.block_size = 24;
  EXPECT_THAT(error(options), HasSubstr("block size 24"));
  options.block_size = 16;
  options.blocks = 1 << 30;
  EXPECT_THAT(error(options), HasSubstr("give it fewer"));
}

}  // namespace
}  // namespace pinboard::engine
