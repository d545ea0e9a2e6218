// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "app/session/rank_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

#include "tests/support/documented_metrics.h"
#include "tests/support/open_metrics_parser.h"
#include "tests/support/temporary_folder.h"

namespace pinboard::app {
namespace {

using ::testing::HasSubstr;
using transport::CollectiveCall;

TEST(RankMetrics, RanksServeAtConsecutivePorts) {
  EXPECT_EQ(*RankMetricsAddress("127.0.0.1:9464", 3, 4), "127.0.0.1:9467");
  EXPECT_THAT(std::string(RankMetricsAddress("127.0.0.1:65534", 0, 4).status().message()),
              HasSubstr("leaves no port for rank 3"));
  EXPECT_FALSE(RankMetricsAddress("here", 0, 1).ok());
  EXPECT_THAT(std::string(RankMetricsAddress("127.0.0.1:0", 1, 2).status().message()),
              HasSubstr("name the first rank's port"));
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

TEST(RankMetrics, TellPartsOfASumApartAndTimesInSeconds) {
  const auto metrics = RankMetrics::Serve("127.0.0.1:0");
  ASSERT_TRUE(metrics.ok()) << metrics.status();
  ShardStats shard;
  shard.round_plan_ns = 1'500'000'000;
  shard.round_apply_ns = 250'000'000;
  shard.rows_kept = 40;
  shard.rows_dropped = 7;
  shard.fetches_late = 2;
  (*metrics)->Update(shard, {}, 1, 0);
  const std::string text = (*metrics)->registry().ExpositionText();
  EXPECT_THAT(text, HasSubstr("\npinboard_rank_round_seconds_total{stage=\"plan\"} 1.5\n"));
  EXPECT_THAT(text, HasSubstr("\npinboard_rank_round_seconds_total{stage=\"vote\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("\npinboard_rank_round_seconds_total{stage=\"apply\"} 0.25\n"));
  EXPECT_THAT(text, HasSubstr("\npinboard_rank_round_rows_total{fate=\"kept\"} 40\n"));
  EXPECT_THAT(text, HasSubstr("\npinboard_rank_round_rows_total{fate=\"dropped\"} 7\n"));
  EXPECT_THAT(text, HasSubstr("\npinboard_rank_failed_fetches_total{cause=\"late\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("\npinboard_rank_failed_fetches_total{cause=\"absent\"} 0\n"));
}

TEST(RankMetrics, CountCollectivesByCallTimeAndFailure) {
  const auto metrics = RankMetrics::Serve("127.0.0.1:0");
  ASSERT_TRUE(metrics.ok()) << metrics.status();
  RankMetrics& rank = **metrics;
  rank.ObserveCollective(CollectiveCall::kSumInt32, absl::Microseconds(5), absl::OkStatus());
  rank.ObserveCollective(CollectiveCall::kSumInt32, absl::Seconds(2),
                         absl::DeadlineExceededError("rank 1 is late"));
  rank.ObserveCollective(CollectiveCall::kAwait, absl::ZeroDuration(),
                         absl::UnavailableError("rank 1 is lost"));
  rank.ObserveCollective(CollectiveCall::kLaunch, absl::ZeroDuration(),
                         absl::FailedPreconditionError("the ranks disagree"));
  rank.ObserveCollective(CollectiveCall::kLaunch, absl::ZeroDuration(),
                         absl::InternalError("a fault"));
  const std::string text = rank.registry().ExpositionText();
  const std::string seconds = "\npinboard_rank_collective_seconds";
  EXPECT_THAT(text, HasSubstr(seconds + "_count{call=\"sum_int32\"} 2\n"));
  EXPECT_THAT(text, HasSubstr(seconds + "_bucket{call=\"sum_int32\",le=\"4e-06\"} 0\n"));
  EXPECT_THAT(text, HasSubstr(seconds + "_bucket{call=\"sum_int32\",le=\"1.6e-05\"} 1\n"));
  EXPECT_THAT(text, HasSubstr(seconds + "_count{call=\"await\"} 1\n"));
  EXPECT_THAT(text, HasSubstr(seconds + "_count{call=\"launch\"} 2\n"));
  for (const char* reason : {"late", "lost", "disagreed", "other"}) {
    EXPECT_THAT(text, HasSubstr(std::string("\npinboard_rank_collective_failures_total{reason=\"") +
                                reason + "\"} 1\n"));
  }
}

TEST(RankMetrics, AreThoseOfTheDocument) {
  const auto metrics = RankMetrics::Serve("127.0.0.1:0");
  ASSERT_TRUE(metrics.ok()) << metrics.status();
  EXPECT_EQ(ExposedMetrics("pinboard_", (*metrics)->registry().ExpositionText()),
            DocumentedMetrics("pinboard_rank_"));
}

/// Runs `command` with `input`; its exit status.
int Pipe(const std::string& input, const std::string& command) {
  std::FILE* const pipe = popen(command.c_str(), "w");
  if (pipe == nullptr) return -1;
  EXPECT_EQ(std::fwrite(input.data(), 1, input.size(), pipe), input.size());
  return pclose(pipe);
}

TEST(RankMetrics, AreAsPrometheusWantsThem) {
  if (std::system("command -v promtool >/dev/null") != 0) {
    GTEST_SKIP() << "promtool, of Debian's package prometheus, is not installed";
  }
  const auto metrics = RankMetrics::Serve("127.0.0.1:0");
  ASSERT_TRUE(metrics.ok()) << metrics.status();
  EXPECT_EQ(Pipe((*metrics)->registry().ExpositionText(), "promtool check metrics >&2"), 0);
}

TEST(RankMetrics, AreReadAsOpenMetricsByAParserThatIsNotOurs) {
  if (!HasOpenMetricsParser()) GTEST_SKIP() << kNoOpenMetricsParser;
  const auto metrics = RankMetrics::Serve("127.0.0.1:0");
  ASSERT_TRUE(metrics.ok()) << metrics.status();
  const TemporaryFolder folder;
  const std::string file = folder.path() + "/read";
  const std::string command = "{ " + std::string(kOpenMetricsParser) + "; } >" + file;
  EXPECT_EQ(Pipe((*metrics)->registry().OpenMetricsText(), command), 0);
  std::ifstream read(file);
  const std::string text(std::istreambuf_iterator<char>(read), {});
  EXPECT_EQ(ExposedMetrics("pinboard_", text), DocumentedMetrics("pinboard_rank_")) << text;
}

}  // namespace
}  // namespace pinboard::app
