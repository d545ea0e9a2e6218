// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// `pinboard bench` as a person runs it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/app/program_fixture.h"
#include "tests/app/refusal.h"

namespace pinboard::app {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

class BenchProgram : public PinboardProgram {
 protected:
  static std::vector<std::string> Throughput(const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {BuiltProgram("pinboard"), "bench", "throughput",
                                          "--model", directory_->path()};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }
  static nlohmann::json Run(const std::vector<std::string>& more) {
    Program program(Throughput(more));
    EXPECT_EQ(program.Wait(), 0) << program.Err();
    EXPECT_THAT(program.Err(), IsEmpty());
    return nlohmann::json::parse(program.Out());
  }
};

TEST_F(BenchProgram, ReadsAsManyContextsAsFitAndDecodesThemSideBySide) {
  const nlohmann::json arms = Run({"--context",
                                   "256",
                                   "--chunk",
                                   "64",
                                   "--generate",
                                   "20",
                                   "--every",
                                   "8",
                                   "--cache-sequences",
                                   "3",
                                   "--policy",
                                   "full,pinboard,snapkv:band=0",
                                   "--budget",
                                   "0.25",
                                   "--recall-pages",
                                   "2",
                                   "--window",
                                   "16",
                                   "--service-arena",
                                   "16MiB",
                                   "--tp",
                                   "2",
                                   "--json",
                                   "-"});
  ASSERT_EQ(arms.size(), 3);
  EXPECT_EQ(arms[0]["sequences"], 3);
  EXPECT_EQ(arms[0]["rows"], 256 + 20);
  EXPECT_EQ(arms[0]["round_ms"], 0.0);
  for (const auto& arm : arms) {
    EXPECT_LE(arm["cache_bytes_used"], arm["cache_bytes"]);
    EXPECT_EQ(arm["step_seconds"].size(), 20);
    EXPECT_EQ(arm["misses"], 0);
    EXPECT_GT(arm["decode_tokens_per_second"], 0.0);
  }
  // A quarter of the rows and a ring; the rows since the last round, the prompt's chunk.
  EXPECT_GT(arms[1]["sequences"], 4);
  EXPECT_LE(arms[1]["rows"], 0.25 * 276 + 32 + 8 + 16);
  EXPECT_GT(arms[1]["pages_recalled"], 0);
  EXPECT_GT(arms[2]["sequences"], arms[1]["sequences"]);
}

TEST_F(BenchProgram, TakesNoMoreSequencesThanItIsTold) {
  const nlohmann::json arms =
      Run({"--context", "128", "--generate", "4", "--cache-sequences", "3", "--sequences", "2",
           "--policy", "full", "--service", "none", "--json", "-"});
  EXPECT_EQ(arms[0]["sequences"], 2);
}

TEST_F(BenchProgram, RefusesWhatItCannotMeasure) {
  EXPECT_THAT(Refusal({BuiltProgram("pinboard"), "bench"}, 2),
              HasSubstr("bench: what to measure is missing"));
  EXPECT_THAT(Refusal({BuiltProgram("pinboard"), "bench", "speed"}, 2),
              HasSubstr("bench: speed is unknown"));
  EXPECT_THAT(Refusal(Throughput({"--policy", "nope"}), 2), HasSubstr("unknown policy 'nope'"));
  EXPECT_THAT(Refusal(Throughput({"--context", "0"}), 2), HasSubstr("--context"));
}

}  // namespace
}  // namespace pinboard::app
