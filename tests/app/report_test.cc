// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "absl/strings/str_split.h"
#include "app/report/output_file.h"
#include "app/report/results_json.h"
#include "app/report/results_table.h"
#include "app/report/text_table.h"

namespace pinboard::app {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::SizeIs;

/// Two contexts of 1000 tokens on a model of 100 bytes a row: a full cache is 200,000 bytes.
EvalResults Example() {
  EvalResults run;
  run.model = "models/tiny";
  run.suite = "builtin:said-once";
  run.tp = 2;
  run.has_service = true;
  run.row_bytes = 100;
  run.arms = *ParseArms("full,pinboard:recall-pages=32", "0.1,0.2", {}, true);
  ArmResult full;
  full.contexts = 2;
  full.context_tokens = 2000;
  full.questions = full.correct = 10;
  full.kl_tokens = 512;
  full.nll_tokens = 510;
  full.nll_sum = 1020.0;
  full.resident_kv_bytes = 200'000;
  ArmResult pinboard = full;
  pinboard.correct = 9;
  pinboard.answers = "11101 11111";
  pinboard.kl_sum = 25.6;
  pinboard.resident_kv_bytes = 60'000;
  pinboard.digest_bytes = 4'000;
  pinboard.pages_recalled = 50;
  pinboard.ring_pages_seen = 1000;
  pinboard.recall_lag_steps = 60;
  pinboard.misses = 3;
  pinboard.quality_samples = 40;
  pinboard.evicted_attention = 5.0;
  pinboard.ring_rows_sampled = 640;
  pinboard.ring_rows_attended = 160;
  pinboard.recall_choices = 80;
  pinboard.steps = 100;
  pinboard.step_collectives = 1700;
  run.results = {full, pinboard, pinboard};
  return run;
}

TEST(ResultsJson, OneObjectPerPolicyAndBudgetInOrder) {
  const auto list = nlohmann::json::parse(ResultsJson(Example()));
  ASSERT_THAT(list, SizeIs(4));
  EXPECT_EQ(list[0]["policy"], "full");
  EXPECT_EQ(list[0]["budget"], 0.1);
  EXPECT_EQ(list[1]["policy"], "full");
  EXPECT_EQ(list[1]["budget"], 0.2);
  EXPECT_EQ(list[1]["kl"], 0.0);
  EXPECT_EQ(list[2]["policy"], "pinboard");
  EXPECT_EQ(list[3]["budget"], 0.2);
}

TEST(ResultsJson, HasTheFieldsThatAreAgreedOnAsMeansAndTotals) {
  const auto object = nlohmann::json::parse(ResultsJson(Example()))[2];
  for (const char* field : {"policy",
                            "budget",
                            "band",
                            "recall_pages",
                            "tp",
                            "questions",
                            "recall",
                            "nll",
                            "kl",
                            "resident_kv_bytes",
                            "digest_bytes",
                            "workspace_bytes",
                            "kept",
                            "borderline",
                            "dropped",
                            "pages_offloaded",
                            "pages_recalled",
                            "bytes_offloaded",
                            "bytes_recalled",
                            "misses",
                            "waits",
                            "keepset_mismatches",
                            "seconds"}) {
    EXPECT_TRUE(object.contains(field)) << field;
  }
  EXPECT_EQ(object["recall"], 0.9);
  EXPECT_EQ(object["answers"], "11101 11111");
  EXPECT_EQ(object["kl"], 0.05);
  EXPECT_EQ(object["nll"], 2.0);
  EXPECT_EQ(object["band"], 0.4);
  EXPECT_EQ(object["recall_pages"], 32);
  EXPECT_EQ(object["layers"], "uniform");
  EXPECT_EQ(object["scope"], "layer");
  EXPECT_EQ(object["tables"], "shared");
  EXPECT_EQ(object["resident_kv_bytes"], 30'000.0);  // a mean
  EXPECT_EQ(object["misses"], 3);                    // a total
  EXPECT_EQ(object["lag_steps"], 1.2);
  EXPECT_EQ(object["churn"], 0.05);
  EXPECT_EQ(object["evicted_attention"], 0.125);
  EXPECT_EQ(object["recall_hits"], 0.25);
  EXPECT_EQ(object["recall_choices"], 80);
  EXPECT_EQ(object["recall_when"], "step");
  EXPECT_EQ(object["recall_ahead"], -1);
  EXPECT_EQ(object["collectives_per_step"], 17.0);
}

TEST(ResultsJson, WhatTheSuiteDoesNotAskIsNull) {
  EvalResults run = Example();
  run.results[0].questions = run.results[0].correct = 0;
  run.results[0].kl_tokens = run.results[0].nll_tokens = 0;
  const auto object = nlohmann::json::parse(ResultsJson(run))[0];
  EXPECT_TRUE(object["recall"].is_null());
  EXPECT_TRUE(object["kl"].is_null());
  EXPECT_TRUE(object["nll"].is_null());
}

TEST(TextTable, AlignsTheFirstColumnLeftAndTheOthersRight) {
  EXPECT_EQ(AlignedTable({{"a", "12", ""}, {"long", "3", "x"}}), "a     12\nlong   3  x\n");
}

TEST(ResultsTable, IsAlignedWithQualityBesideBytes) {
  const std::string table = ResultsTable(Example());
  const std::vector<std::string> lines = absl::StrSplit(table, '\n');
  EXPECT_EQ(lines[0],
            "models/tiny, builtin:said-once, tp 2: 2 contexts of 1000 tokens, 10 questions");
  EXPECT_EQ(lines[1].size(), lines[2].size());
  EXPECT_EQ(lines[1].size(), lines[3].size());
  EXPECT_THAT(lines[2], HasSubstr("100.0 %   100.0 %  0.0000  2.000"));
  EXPECT_THAT(lines[3], HasSubstr("10 %  40 %     32       31   32.0 %    90.0 %  0.0500"));
  EXPECT_THAT(lines[3], HasSubstr("5.0 %  1.2       3"));
  EXPECT_THAT(lines[3], HasSubstr("12.5 %  25.0 %"));
  EXPECT_THAT(table, Not(HasSubstr("CAUTION")));
}

TEST(ResultsTable, OfADecodingSaysHowLongAgoWhatIsAnsweredWasSaid) {
  EvalResults run = Example();
  run.round_every = 64;
  run.results[0].by_rounds_ago = {{1, {2, 2}}, {57, {4, 4}}};
  run.results[1].by_rounds_ago = {{1, {2, 2}}, {57, {4, 1}}};
  const std::vector<std::string> lines = absl::StrSplit(ResultsTable(run), '\n');
  EXPECT_THAT(lines[0], HasSubstr("decoded, a round every 64 tokens"));
  EXPECT_THAT(lines[1], EndsWith("57 ago    1 ago"));
  EXPECT_THAT(lines[3], EndsWith("25.0 %  100.0 %"));
  EXPECT_THAT(lines[4], EndsWith("-        -"));
  const auto object = nlohmann::json::parse(ResultsJson(run))[2];
  EXPECT_EQ(object["mode"], "decode");
  EXPECT_EQ(object["rounds_ago"], nlohmann::json({1, 57}));
  EXPECT_EQ(object["recall_by_rounds_ago"], nlohmann::json({1.0, 0.25}));
  EXPECT_EQ(object["questions_by_rounds_ago"], nlohmann::json({2, 4}));
}

TEST(ResultsTable, SaysWhereAnArmWasNotCompressed) {
  EvalResults run = Example();
  run.results[1].rounds_kept_all = 2;
  run.results[1].keepset_mismatches = 1;
  EXPECT_THAT(ResultsTable(run), HasSubstr("CAUTION: 2 rounds kept everything (1 because"));
}

TEST(OutputFile, AFileThatCannotBeWrittenIsFoundOutBeforehand) {
  EXPECT_TRUE(CheckWritable("-").ok());
  const absl::Status status = CheckWritable("/nowhere/results.json");
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("cannot write /nowhere/results.json: No such"));
}

TEST(OutputFile, CheckingChangesNothingAndWritingReplaces) {
  const std::string path = ::testing::TempDir() + "/pinboard-output-" + std::to_string(getpid());
  ASSERT_TRUE(CheckWritable(path).ok());
  EXPECT_FALSE(std::filesystem::exists(path));
  ASSERT_TRUE(WriteOutput(path, "a longer text").ok());
  ASSERT_TRUE(CheckWritable(path).ok());
  EXPECT_EQ(std::filesystem::file_size(path), 13U);
  ASSERT_TRUE(WriteOutput(path, "short").ok());
  std::ifstream file(path);
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(file), {}), "short");
  std::filesystem::remove(path);
}

TEST(OutputFile, StandardOutputGetsEveryByte) {
  const std::string text("a\0b", 3);
  ::testing::internal::CaptureStdout();
  ASSERT_TRUE(WriteOutput("-", text).ok());
  EXPECT_EQ(::testing::internal::GetCapturedStdout(), text);
}

TEST(OutputFile, AFullDiskIsAnError) {
  const int output = dup(STDOUT_FILENO);
  const int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
  std::fflush(stdout);
  for (const std::size_t bytes : {4, 100'000}) {  // less and more than is buffered
    const std::string text(bytes, 'x');
    EXPECT_EQ(WriteOutput("/dev/full", text).code(), absl::StatusCode::kUnavailable);
    dup2(full, STDOUT_FILENO);
    const absl::Status written = WriteOutput("-", text);
    dup2(output, STDOUT_FILENO);
    EXPECT_EQ(written.message(), "cannot write standard output: No space left on device") << bytes;
  }
  close(full);
  close(output);
}

}  // namespace
}  // namespace pinboard::app
