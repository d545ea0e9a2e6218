// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "app/session/rank_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pinboard::app {
namespace {

using ::testing::HasSubstr;

TEST(RankMetrics, RanksServeAtConsecutivePorts) {
  EXPECT_EQ(*RankMetricsAddress("127.0.0.1:9464", 3, 4), "127.0.0.1:9467");
  EXPECT_THAT(std::string(RankMetricsAddress("127.0.0.1:65534", 0, 4).status().message()),
              HasSubstr("leaves no port for rank 3"));
  EXPECT_FALSE(RankMetricsAddress("here", 0, 1).ok());
}

TEST(RankMetrics, FollowTheShardAndTheEngine) {
  const auto metrics = RankMetrics::Serve("127.0.0.1:0");
  ASSERT_TRUE(metrics.ok()) << metrics.status();
  ShardStats shard;
  engine::EngineStats engine;
  shard.misses = 3;
  engine.tokens_shared = 32;
  engine.blocks_shared = 2;
  engine.blocks_saved = 12;
  (*metrics)->Update(shard, engine, 10, 4096);
  shard.misses = 5;
  engine.tokens_shared = 48;
  engine.blocks_shared = 3;
  engine.blocks_copied = 1;
  engine.blocks_saved = -4;
  (*metrics)->Update(shard, engine, 1, 8192);
  const std::string text = (*metrics)->registry().ExpositionText();
  EXPECT_THAT(text, HasSubstr("\npinboard_rank_misses_total 5\n"));
  EXPECT_THAT(text, HasSubstr("\npinboard_rank_tokens_shared_total 48\n"));
  EXPECT_THAT(text, HasSubstr("\npinboard_rank_blocks_shared_total 3\n"));
  EXPECT_THAT(text, HasSubstr("\npinboard_rank_blocks_copied_total 1\n"));
  EXPECT_THAT(text, HasSubstr("\npinboard_rank_blocks_saved -4\n")) << "net of what others hold";
  EXPECT_THAT(text, HasSubstr("\npinboard_rank_steps_total 2\n"));
  EXPECT_THAT(text, HasSubstr("\npinboard_rank_tokens_total 11\n"));
  EXPECT_THAT(text, HasSubstr("\npinboard_rank_kv_cache_bytes 8192\n"));
}

}  // namespace
}  // namespace pinboard::app
