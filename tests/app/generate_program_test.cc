// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// pinboard generate as a person runs it: texts, side by side and drawn.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <random>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "tests/app/program_fixture.h"
#include "tests/app/refusal.h"

namespace pinboard::app {
namespace {

using ::testing::Ge;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class GenerateProgram : public PinboardProgram {
 protected:
  /// A directory with the tiny model's config.json and nothing else.
  static std::string ConfigAlone() {
    const std::filesystem::path alone = *directory_ / "alone";
    std::filesystem::create_directories(alone);
    std::filesystem::copy_file(*directory_ / "config.json", alone / "config.json",
                               std::filesystem::copy_options::overwrite_existing);
    return alone.string();
  }
};

TEST_F(GenerateProgram, GenerateMakesTheSameTokensOnAnyNumberOfRanks) {
  // The tiny model has no tokenizer: ids in, JSON out.
  std::vector<std::string> ids;
  std::mt19937 random(3);
  for (int i = 0; i < 200; ++i) {
    ids.push_back(absl::StrCat(std::uniform_int_distribution<int>(3, 95)(random)));
  }
  nlohmann::json one;
  for (const char* tp : {"1", "2"}) {
    Program program(GenerateFrom({"--ids", absl::StrJoin(ids, ","), "--max-tokens", "40", "--when",
                                  "every:16", "--policy", "snapkv", "--window", "16", "--budget",
                                  "0.3", "--service", "none", "--tp", tp, "--json", "-"}));
    ASSERT_EQ(program.Wait(), 0) << program.Err();
    EXPECT_THAT(program.Err(), IsEmpty());
    const auto made = nlohmann::json::parse(program.Out());
    EXPECT_THAT(made["ids"].size(), Ge(1U));
    EXPECT_EQ(made["prompt_tokens"], 200);
    EXPECT_LT(made["rows"], made["length"]);
    if (one.is_null()) one = made;
    EXPECT_EQ(made["ids"], one["ids"]);
  }
}

TEST_F(GenerateProgram, GenerateDrawsTheSameTokensAgainOnAnyNumberOfRanks) {
  const auto made = [](const std::string& tp, const std::string& seed) {
    Program program(GenerateFrom({"--ids", "3,14,15,92,65,35", "--max-tokens", "24", "--policy",
                                  "full", "--temperature", "1.5", "--top-k", "50", "--top-p", "0.9",
                                  "--seed", seed, "--tp", tp, "--json", "-"}));
    EXPECT_EQ(program.Wait(), 0) << program.Err();
    return nlohmann::json::parse(program.Out())["ids"];
  };
  const auto one = made("1", "7");
  EXPECT_EQ(made("1", "7"), one);
  EXPECT_EQ(made("2", "7"), one);
  EXPECT_NE(made("1", "8"), one);
}

/// Prompts of 20 to 180 tokens.
std::vector<nlohmann::json> Prompts(int count) {
  std::mt19937 random(13);
  std::vector<nlohmann::json> prompts;
  for (int i = 0; i < count; ++i) {
    prompts.push_back(
        {{"prompt", RandomIds(&random, 20 + i * 67 % 160)}, {"max_tokens", 20 + i * 7 % 30}});
  }
  return prompts;
}

std::string Lines(const std::vector<nlohmann::json>& objects) {
  std::string text;
  for (const auto& object : objects) absl::StrAppend(&text, object.dump(), "\n");
  return text;
}

TEST_F(GenerateProgram, GenerateContinuesSixteenPromptsInACacheForFourAsEachAlone) {
  const std::vector<nlohmann::json> prompts = Prompts(16);
  std::size_t longest = 0;
  for (const auto& prompt : prompts) {
    longest = std::max(longest, prompt["prompt"].size() + prompt["max_tokens"].get<std::size_t>());
  }
  const std::string blocks = absl::StrCat(4 * ((longest + 15) / 16));
  const auto run = [&](const std::vector<nlohmann::json>& some, const std::string& tp) {
    engine::testing::WriteFile(*directory_ / "prompts.jsonl", Lines(some));
    Program program(GenerateFrom({"--prompts", Path("prompts.jsonl"), "--cache-blocks", blocks,
                                  "--policy", "snapkv", "--window", "16", "--budget", "0.3",
                                  "--when", "every:32", "--service", "none", "--tp", tp}));
    EXPECT_EQ(program.Wait(), 0) << program.Err();
    return nlohmann::json::parse(program.Out());
  };
  const auto together = run(prompts, "2");
  ASSERT_THAT(together["sequences"], SizeIs(16));
  EXPECT_GT(together["preemptions"], 0);
  EXPECT_GT(together["most_running"], 4);
  EXPECT_LE(together["most_blocks"], std::stoi(blocks));
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    const auto& made = together["sequences"][i];
    EXPECT_EQ(made["prompt_tokens"], prompts[i]["prompt"].size());
    EXPECT_EQ(made["stop_reason"] == "max_tokens",
              made["ids"].size() == prompts[i]["max_tokens"].get<std::size_t>());
    if (i % 5 == 0) {
      const auto alone = run({prompts[i]}, "2");
      EXPECT_EQ(made["ids"], alone["sequences"][0]["ids"]) << "prompt " << i;
      EXPECT_EQ(alone["preemptions"], 0);
    }
  }
}

TEST_F(GenerateProgram, EveryPromptOfAFileDrawsFromASeedOfItsOwn) {
  const nlohmann::json prompt = {{"prompt", {3, 14, 15, 92}}};
  nlohmann::json seeded = prompt;
  seeded["seed"] = 8;
  seeded["policy"] = "full";
  engine::testing::WriteFile(*directory_ / "same.jsonl", Lines({prompt, prompt, seeded}));
  const auto run = [&](const std::vector<std::string>& source) {
    std::vector<std::string> arguments = {"--temperature", "1.5",  "--max-tokens", "20",
                                          "--policy",      "full", "--json",       "-"};
    arguments.insert(arguments.end(), source.begin(), source.end());
    Program program(GenerateFrom(arguments));
    EXPECT_EQ(program.Wait(), 0) << program.Err();
    return nlohmann::json::parse(program.Out());
  };
  const auto many = run({"--prompts", Path("same.jsonl"), "--seed", "7"})["sequences"];
  EXPECT_NE(many[0]["ids"], many[1]["ids"]);
  EXPECT_EQ(many[1]["ids"], many[2]["ids"]) << "the second's seed is 8, too";
  EXPECT_EQ(run({"--ids", "3,14,15,92", "--seed", "7"})["ids"], many[0]["ids"]);
  EXPECT_EQ(run({"--ids", "3,14,15,92", "--seed", "8"})["ids"], many[1]["ids"]);
}

TEST_F(GenerateProgram, APromptOfAFileMayHaveAPolicyOfItsOwn) {
  std::vector<nlohmann::json> prompts = Prompts(3);
  prompts[2]["policy"] = "pinboard:budget=0.2:recall-pages=2";
  engine::testing::WriteFile(*directory_ / "own.jsonl", Lines(prompts));
  Program program(GenerateFrom({"--prompts", Path("own.jsonl"), "--policy", "full", "--window",
                                "16", "--when", "every:32", "--service-arena", "16MiB"}));
  ASSERT_EQ(program.Wait(), 0) << program.Err();
  const auto made = nlohmann::json::parse(program.Out());
  for (const int i : {0, 1}) {
    EXPECT_EQ(made["sequences"][i]["rows"], made["sequences"][i]["length"]);
  }
  EXPECT_LT(made["sequences"][2]["rows"], made["sequences"][2]["length"]);
  EXPECT_GT(made["pages_offloaded"], 0);
}

// No weights and no tokenizer lie there.
TEST_F(GenerateProgram, AConfigurationAloneIsLoadOfItsShapeAndTheSameOnAnyNumberOfRanks) {
  engine::testing::WriteFile(*directory_ / "load.jsonl",
                             "{\"prompt_tokens\": 70, \"max_tokens\": 4}\n"
                             "{\"prompt_tokens\": 70, \"max_tokens\": 4}\n");
  nlohmann::json one;
  for (const char* tp : {"1", "2"}) {
    Program program({BuiltProgram("pinboard"), "generate", "--random-weights",
                     ConfigAlone() + "/config.json", "--prompts", Path("load.jsonl"), "--policy",
                     "full", "--tp", tp});
    ASSERT_EQ(program.Wait(), 0) << program.Err();
    const auto made = nlohmann::json::parse(program.Out())["sequences"];
    if (one.is_null()) one = made;
    for (const int i : {0, 1}) {
      EXPECT_EQ(made[i]["prompt_tokens"], 70);
      EXPECT_EQ(made[i]["ids"], one[i]["ids"]);
    }
  }
  EXPECT_NE(one[0]["ids"], one[1]["ids"]) << "each line's prompt is its own";
  Program same({BuiltProgram("pinboard"), "generate", "--random-weights", ConfigAlone(),
                "--prompt-tokens", "70", "--max-tokens", "4", "--policy", "full", "--json", "-"});
  ASSERT_EQ(same.Wait(), 0) << same.Err();
  EXPECT_EQ(nlohmann::json::parse(same.Out())["ids"], one[0]["ids"]);
}

TEST_F(GenerateProgram, ByPressureOnlyAFullCacheIsCompressed) {
  engine::testing::WriteFile(*directory_ / "pressure.jsonl", Lines(Prompts(4)));
  const auto rounds = [&](const std::string& when) {
    Program program(
        GenerateFrom({"--prompts", Path("pressure.jsonl"), "--policy", "snapkv", "--window", "16",
                      "--when", when, "--service", "none", "--cache-blocks", "40"}));
    EXPECT_EQ(program.Wait(), 0) << program.Err();
    int rounds = 0;
    const auto made = nlohmann::json::parse(program.Out());
    for (const auto& sequence : made["sequences"]) rounds += sequence["rounds"].get<int>();
    return rounds;
  };
  EXPECT_EQ(rounds("pressure:1"), 0) << "the four need 30 blocks";
  EXPECT_GT(rounds("pressure:0.5"), 0);
}

TEST_F(GenerateProgram, ADryRunMakesTheTextOfTheFullCacheAndWritesItsPlans) {
  engine::testing::WriteFile(*directory_ / "dry.jsonl", Lines(Prompts(4)));
  const std::string plans = Path("plans.jsonl");
  const auto run = [&](const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {
        "--prompts", Path("dry.jsonl"), "--tp", "2", "--window", "16", "--when", "every:32"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    Program program(GenerateFrom(arguments));
    EXPECT_EQ(program.Wait(), 0) << program.Err();
    return nlohmann::json::parse(program.Out());
  };
  const auto observed = run({"--mode", "observe", "--plans", plans});
  const auto full = run({"--policy", "full"});
  const auto compressed = run({"--budget", "0.3", "--service", "none"});
  bool differs = false;
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(observed["sequences"][i]["ids"], full["sequences"][i]["ids"]) << "prompt " << i;
    EXPECT_EQ(observed["sequences"][i]["rows"], observed["sequences"][i]["length"]);
    differs |= compressed["sequences"][i]["ids"] != full["sequences"][i]["ids"];
  }
  EXPECT_TRUE(differs) << "eviction is not seen in these texts: the test would prove nothing";
  std::set<std::string> seen;
  bool evicts = false;
  for (const absl::string_view line : absl::StrSplit(FileText(plans), '\n', absl::SkipEmpty())) {
    const auto plan = nlohmann::json::parse(line);
    if (plan.contains("kept_all_because")) continue;
    EXPECT_EQ(plan["applied"], false);
    EXPECT_GT(plan["kept"].size(), 0U);
    evicts |= plan["offloaded"].size() + plan["dropped"].get<std::size_t>() > 0;
    EXPECT_TRUE(seen.insert(absl::StrCat(plan["sequence"].dump(), " ", plan["round"].dump(), " ",
                                         plan["layer"].dump()))
                    .second);
  }
  EXPECT_TRUE(evicts);
  EXPECT_THAT(seen, ::testing::IsSupersetOf({"2 2 0", "2 2 1", "2 2 2", "2 3 0"}));
  EXPECT_THAT(Refusal(GenerateFrom({"--ids", "1", "--mode", "watch"}), 2),
              HasSubstr("--mode: 'watch' is neither compress nor observe"));
  EXPECT_THAT(Refusal(GenerateFrom({"--ids", "1", "--plans", "/nowhere/x"}), 2),
              HasSubstr("cannot write /nowhere/x"));
}

TEST_F(GenerateProgram, GenerateStopsBeforeAStopTextOnAllRanksAndSaysWhy) {
  const std::string model = std::string(std::getenv("PINBOARD_SOURCE_DIR")) + "/models/tiny-llama";
  const auto run = [&](const std::string& out, const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {
        BuiltProgram("pinboard"), "generate", "--model", model, "--prompt", "def main():",
        "--max-tokens",           "24",       "--json",  out,   "--stats"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  };
  Program whole(run("-", {}));
  ASSERT_EQ(whole.Wait(), 0) << whole.Err();
  const auto all = nlohmann::json::parse(whole.Out());
  EXPECT_EQ(all["stop_reason"], "max_tokens");
  EXPECT_THAT(whole.Err(), HasSubstr("24 tokens (max_tokens)"));
  const auto text = all["text"].get<std::string>();
  ASSERT_GT(text.size(), 16U);
  const std::string stop = text.substr(10, 4);
  const std::string before = text.substr(0, text.find(stop));
  Program stopped(run("-", {"--tp", "2", "--stop", "never to be seen", "--stop", stop}));
  ASSERT_EQ(stopped.Wait(), 0) << stopped.Err();
  const auto part = nlohmann::json::parse(stopped.Out());
  EXPECT_EQ(part["stop_reason"], "stop_text");
  EXPECT_EQ(part["text"], before);
  EXPECT_LT(part["ids"].size(), 24U);
  Program streamed(run("", {"--stop", stop}));
  ASSERT_EQ(streamed.Wait(), 0) << streamed.Err();
  EXPECT_EQ(streamed.Out(), before + "\n");
}

}  // namespace
}  // namespace pinboard::app
