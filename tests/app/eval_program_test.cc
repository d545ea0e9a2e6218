// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// pinboard eval as a person runs it: results.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

#include "tests/app/program_fixture.h"
#include "tests/app/refusal.h"

namespace pinboard::app {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class EvalProgram : public PinboardProgram {};

TEST_F(EvalProgram, EvalWritesJsonAndIsQuietInAPipe) {
  for (const char* tp : {"1", "2", "4"}) {
    Program program(
        Eval({"--policy", "full,snapkv:band=0,pinboard:recall-pages=4", "--budget", "0.25,0.3",
              "--tp", tp, "--census", "--service-arena", "16MiB", "--json", "-"}));
    ASSERT_EQ(program.Wait(), 0) << program.Err();
    EXPECT_THAT(program.Err(), IsEmpty());
    const auto list = nlohmann::json::parse(program.Out());
    ASSERT_THAT(list, SizeIs(6));
    for (const auto& object : list) {
      EXPECT_EQ(object["questions"], 2);
      EXPECT_EQ(object["keepset_mismatches"], 0);
      EXPECT_EQ(object["misses"], 0);
      EXPECT_EQ(object["tp"], std::stoi(tp));
    }
    EXPECT_EQ(list[0]["kl"], 0.0);
    EXPECT_EQ(list[2]["kept"], 100 * 3);  // a quarter of 400 rows in three layers
    EXPECT_EQ(list[4]["kept"], 100 * 3);
    EXPECT_EQ(list[4]["ring_rows"], 64);
    EXPECT_GT(list[4]["pages_recalled"], 0);
    EXPECT_GT(list[4]["bytes_recalled"], 0);
  }
}

TEST_F(EvalProgram, EvalNeverEvictsThePromptWhereThePolicySaysSo) {
  std::mt19937 random(9);
  const nlohmann::json item = {{"prompt", RandomIds(&random, 150)},
                               {"context", RandomIds(&random, 250)}};
  engine::testing::WriteFile(*directory_ / "prompt.jsonl", item.dump() + "\n");
  Program program(Eval({"--policy", "random-prompt:window=16,recency-prompt:window=16,random",
                        "--budget", "0.2", "--service", "none", "--json", "-"},
                       "prompt.jsonl"));
  ASSERT_EQ(program.Wait(), 0) << program.Err();
  const auto list = nlohmann::json::parse(program.Out());
  EXPECT_EQ(list[0]["kept"], (150 + 16) * 3) << "the prompt and the window, in three layers";
  EXPECT_EQ(list[1]["kept"], (150 + 16) * 3);
  EXPECT_EQ(list[2]["kept"], 80 * 3);
  EXPECT_THAT(Refusal(Eval({"--policy", "full,random-prompt"}), 2),
              HasSubstr("random-prompt protects the prompt, and context 1 of the suite has none"));
}

TEST_F(EvalProgram, EvalPrintsATableAndWritesAFile) {
  const std::string out = Path("results.json");
  Program program(Eval({"--policy", "full,snapkv", "--service", "none", "--json", out}));
  ASSERT_EQ(program.Wait(), 0) << program.Err();
  EXPECT_THAT(program.Out(), HasSubstr("policy  budget"));
  EXPECT_THAT(program.Out(), HasSubstr("snapkv    10 %     -"));
  EXPECT_THAT(nlohmann::json::parse(FileText(out)), SizeIs(2));
}

TEST_F(EvalProgram, LayersTablesAndScopeAreRunAsAskedAndNamedInTheResults) {
  Program run(Eval({"--policy", "pyramidkv:window=8,snapkv:window=8:scope=global", "--tables",
                    "layer", "--tp", "2", "--service", "none", "--json", "-"}));
  ASSERT_EQ(run.Wait(), 0) << run.Err();
  const auto list = nlohmann::json::parse(run.Out());
  EXPECT_EQ(list[0]["layers"], "pyramid");
  EXPECT_EQ(list[1]["layers"], "uniform");
  EXPECT_EQ(list[1]["scope"], "global");
  for (const auto& arm : list) EXPECT_EQ(arm["tables"], "layer");
  EXPECT_EQ(list[0]["kept"], list[1]["kept"]) << "the same total";
  Program text(GenerateFrom({"--ids", "5,6,7", "--policy", "pyramidkv", "--tables", "layer",
                             "--max-tokens", "4", "--json", "-"}));
  EXPECT_EQ(text.Wait(), 0) << text.Err();
}

}  // namespace
}  // namespace pinboard::app
