// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The program as a person runs it, on small random models: results, errors, faults.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <random>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "tests/app/program.h"
#include "tests/app/refusal.h"
#include "tests/engine/tiny_model.h"
#include "tests/support/free_port.h"
#include "tests/support/listening_socket.h"

namespace pinboard::app {
namespace {

using ::testing::AllOf;
using ::testing::Ge;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::StartsWith;

nlohmann::json RandomIds(std::mt19937* random, int count) {
  nlohmann::json ids = nlohmann::json::array();
  for (int i = 0; i < count; ++i) {
    ids.push_back(std::uniform_int_distribution<int>(3, 95)(*random));
  }
  return ids;
}

std::string SuiteText(int contexts) {
  std::mt19937 random(7);
  std::string text;
  for (int i = 0; i < contexts; ++i) {
    nlohmann::json item;
    item["context"] = RandomIds(&random, 400);
    item["continuation"] = RandomIds(&random, 16);
    item["questions"] = {{{"prompt", RandomIds(&random, 6)}, {"answer", RandomIds(&random, 3)}}};
    absl::StrAppend(&text, item.dump(), "\n");
  }
  return text;
}

/// What GET /metrics answers; empty where nobody listens.
std::string Scrape(const std::string& address) {
  const std::pair<std::string, std::string> parts = absl::StrSplit(address, ':');
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<std::uint16_t>(std::stoi(parts.second)));
  inet_pton(AF_INET, parts.first.c_str(), &to.sin_addr);
  std::string text;
  if (connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof(to)) == 0) {
    const std::string request = "GET /metrics HTTP/1.0\r\n\r\n";
    if (send(fd, request.data(), request.size(), MSG_NOSIGNAL) > 0) {
      char buffer[4096];
      for (ssize_t got; (got = recv(fd, buffer, sizeof(buffer), 0)) > 0;) {
        text.append(buffer, static_cast<std::size_t>(got));
      }
    }
  }
  close(fd);
  return text;
}

/// Waits until the program's metrics count steps; false where it ends before that.
bool HasMadeSteps(Program& program, const std::string& metrics) {
  bool found = false;
  WaitUntil([&] {
    found = Scrape(metrics).find("\npinboard_rank_steps_total ") != std::string::npos;
    return found || !program.Running();
  });
  return found;
}

class PinboardProgram : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    directory_ = new engine::testing::TinyDirectory("app-program");
    engine::testing::WriteTinyModel(
        engine::testing::MakeTinyModel(engine::testing::TinyLlamaJson(), 5), *directory_);
    engine::testing::WriteFile(*directory_ / "suite.jsonl", SuiteText(2));
    engine::testing::WriteFile(*directory_ / "long.jsonl", SuiteText(200));
  }
  static void TearDownTestSuite() { delete directory_; }

  static std::string Path(const std::string& name) { return (*directory_ / name).string(); }
  static std::vector<std::string> Eval(const std::vector<std::string>& more,
                                       const std::string& suite = "suite.jsonl") {
    std::vector<std::string> arguments = {BuiltProgram("pinboard"), "eval",    "--model",
                                          directory_->path(),       "--suite", Path(suite)};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }
  static std::vector<std::string> GenerateFrom(const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {BuiltProgram("pinboard"), "generate", "--model",
                                          directory_->path()};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }

  /// A copy of the model with one file changed.
  static std::string BrokenModel(const std::string& name, const std::string& file,
                                 std::uintmax_t size) {
    namespace fs = std::filesystem;
    const fs::path copy = *directory_ / name;
    fs::create_directories(copy);
    for (const char* part : {"config.json", "model.safetensors"}) {
      fs::copy_file(*directory_ / part, copy / part, fs::copy_options::overwrite_existing);
    }
    if (size == 0) {
      fs::remove(copy / file);
    } else {
      fs::resize_file(copy / file, size);
    }
    return copy.string();
  }

  static engine::testing::TinyDirectory* directory_;
};

engine::testing::TinyDirectory* PinboardProgram::directory_ = nullptr;

TEST_F(PinboardProgram, HelpTeachesAndVersionAnswers) {
  const std::string model = "--model models/tiny-llama";
  const std::vector<std::pair<std::vector<std::string>, std::string>> examples = {
      {{"--help"}, model},
      {{"eval", "--help"}, model},
      {{"generate", "--help"}, model},
      {{"size", "--help"}, model},
      {{"stat", "--help"}, "--service 127.0.0.1:7700"}};
  for (const auto& [arguments, example] : examples) {
    std::vector<std::string> command = {BuiltProgram("pinboard")};
    command.insert(command.end(), arguments.begin(), arguments.end());
    Program program(command);
    EXPECT_EQ(program.Wait(), 0);
    EXPECT_THAT(program.Out(), HasSubstr("  pinboard "));
    EXPECT_THAT(program.Out(), HasSubstr(example));
    EXPECT_THAT(program.Err(), IsEmpty());
    for (const auto& line : std::vector<std::string>(absl::StrSplit(program.Out(), '\n'))) {
      EXPECT_LE(line.size(), 100U) << line;
    }
  }
  Program version({BuiltProgram("pinboard"), "--version"});
  EXPECT_EQ(version.Wait(), 0);
  EXPECT_THAT(version.Out(), StartsWith("pinboard "));
}

TEST_F(PinboardProgram, EvalWritesJsonAndIsQuietInAPipe) {
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

TEST_F(PinboardProgram, EvalNeverEvictsThePromptWhereThePolicySaysSo) {
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

TEST_F(PinboardProgram, EvalPrintsATableAndWritesAFile) {
  const std::string out = Path("results.json");
  Program program(Eval({"--policy", "full,snapkv", "--service", "none", "--json", out}));
  ASSERT_EQ(program.Wait(), 0) << program.Err();
  EXPECT_THAT(program.Out(), HasSubstr("policy  budget"));
  EXPECT_THAT(program.Out(), HasSubstr("snapkv    10 %     -"));
  EXPECT_THAT(nlohmann::json::parse(FileText(out)), SizeIs(2));
}

TEST_F(PinboardProgram, GenerateMakesTheSameTokensOnAnyNumberOfRanks) {
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

TEST_F(PinboardProgram, GenerateDrawsTheSameTokensAgainOnAnyNumberOfRanks) {
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

TEST_F(PinboardProgram, GenerateContinuesSixteenPromptsInACacheForFourAsEachAlone) {
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

TEST_F(PinboardProgram, EveryPromptOfAFileDrawsFromASeedOfItsOwn) {
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

TEST_F(PinboardProgram, APromptOfAFileMayHaveAPolicyOfItsOwn) {
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

TEST_F(PinboardProgram, ByPressureOnlyAFullCacheIsCompressed) {
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

TEST_F(PinboardProgram, ADryRunMakesTheTextOfTheFullCacheAndWritesItsPlans) {
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

TEST_F(PinboardProgram, APromptFileThatIsWrongIsNamedWithFileAndLine) {
  const auto refusal = [](const std::string& text) {
    engine::testing::WriteFile(*directory_ / "wrong.jsonl", text);
    return Refusal(GenerateFrom({"--prompts", Path("wrong.jsonl")}), 2);
  };
  EXPECT_THAT(refusal(""), HasSubstr("wrong.jsonl:1: no prompts"));
  EXPECT_THAT(refusal("{\"prompt\":[1]}\n\n[1]\n"), HasSubstr("wrong.jsonl:3: not a JSON object"));
  EXPECT_THAT(refusal("{\"max_tokens\":4}\n"), HasSubstr("prompt is missing or empty"));
  EXPECT_THAT(refusal("{\"prompt\":[1,96]}\n"), HasSubstr("token id 96 in prompt"));
  EXPECT_THAT(refusal("{\"prompt\":[1],\"max_tokens\":0}\n"),
              HasSubstr("max_tokens is 0: a whole number from 1 to"));
  EXPECT_THAT(refusal("{\"prompt\":[1],\"seed\":4}\n"), HasSubstr("give a --temperature above 0"));
  EXPECT_THAT(refusal("{\"prompt\":[1],\"policy\":\"x\"}\n"), HasSubstr("unknown policy 'x'"));
  EXPECT_THAT(refusal("{\"prompt\":[1],\"policy\":\"h2o,tova\"}\n"), HasSubstr("names several"));
  EXPECT_THAT(refusal("{\"prompt\":[1],\"length\":4}\n"),
              HasSubstr("'length' is not known: a line has prompt, max_tokens, policy and seed"));
  EXPECT_THAT(Refusal(GenerateFrom({"--prompts", Path("nothing.jsonl")}), 2),
              HasSubstr("--prompts: cannot read"));
  EXPECT_THAT(Refusal(GenerateFrom({"--ids", "1", "--when", "often"}), 2),
              HasSubstr("--when: 'often' is neither every:N"));
  EXPECT_THAT(Refusal(GenerateFrom({"--ids", "1", "--prompts", Path("suite.jsonl")}), 2),
              HasSubstr("give one of --prompt, --prompt-file, --ids and --prompts"));
}

TEST_F(PinboardProgram, GenerateStopsBeforeAStopTextOnAllRanksAndSaysWhy) {
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

TEST_F(PinboardProgram, WrongUsageIsOneLineAndExitCodeTwo) {
  const std::string pinboard = BuiltProgram("pinboard");
  EXPECT_THAT(Refusal({pinboard}, 2), StartsWith("a command is missing"));
  EXPECT_THAT(Refusal({pinboard, "evl"}, 2), StartsWith("unknown command 'evl'"));
  EXPECT_THAT(Refusal({pinboard, "eval"}, 2), StartsWith("--model is missing"));
  EXPECT_THAT(Refusal(Eval({"--policy", "snapvk"}), 2), HasSubstr("known are full, random"));
  EXPECT_THAT(Refusal(Eval({"--budget", "1.5"}), 2), HasSubstr("(0, 1]"));
  EXPECT_THAT(Refusal(Eval({"--budget", "0"}), 2), HasSubstr("(0, 1]"));
  EXPECT_THAT(Refusal(Eval({"--tp", "3"}), 2), HasSubstr("tp 3 does not divide"));
  EXPECT_THAT(Refusal(Eval({"--block-size", "17"}), 2), HasSubstr("use 16, 32 or 64"));
  EXPECT_THAT(Refusal(Eval({"--policy", "pyramidkv"}), 2), HasSubstr("add --tables layer"));
  EXPECT_THAT(Refusal(Eval({"--layers", "adaptive", "--scope", "global"}), 2),
              HasSubstr("scope global one set for all layers"));
  EXPECT_THAT(Refusal(Eval({"--when", "pressure:0.9"}), 2),
              HasSubstr("use --mode decode --every N"));
  EXPECT_THAT(Refusal(Eval({"--tables", "own"}), 2), HasSubstr("use shared or layer"));
  EXPECT_THAT(Refusal(GenerateFrom({"--ids", "1", "--layers", "pyramid"}), 2),
              HasSubstr("add --tables layer"));
  EXPECT_THAT(Refusal(Eval({"--service", "somewhere"}), 2), HasSubstr("neither auto, none nor"));
  EXPECT_THAT(Refusal(Eval({"--service-arena", "much"}), 2), StartsWith("--service-arena: "));
  EXPECT_THAT(Refusal(Eval({"--json", "/nowhere/x"}), 2), HasSubstr("cannot write /nowhere/x"));
  EXPECT_THAT(Refusal(GenerateFrom({}), 2), StartsWith("give one of --prompt"));
  EXPECT_THAT(Refusal(GenerateFrom({"--ids", "1,96"}), 2), HasSubstr("96 is out of range"));
  EXPECT_THAT(Refusal(GenerateFrom({"--ids", "1", "--policy", "x"}), 2),
              HasSubstr("unknown policy 'x'"));
  const auto sampling = [](const std::string& name, const std::string& value) {
    return Refusal(GenerateFrom({"--ids", "1", "--temperature", "1", "--" + name, value}), 2);
  };
  EXPECT_THAT(sampling("temperature", "-1"), StartsWith("--temperature is -1: use 0"));
  EXPECT_THAT(sampling("temperature", "hot"), StartsWith("--temperature: 'hot' is not a number"));
  EXPECT_THAT(sampling("top-k", "257"), HasSubstr("from 1 to 256"));
  EXPECT_THAT(sampling("top-p", "0"), StartsWith("--top-p is 0"));
  EXPECT_THAT(sampling("seed", "-1"), StartsWith("--seed: '-1' is not a whole number"));
  EXPECT_THAT(Refusal(GenerateFrom({"--ids", "1", "--seed", "1"}), 2),
              HasSubstr("give a --temperature above 0"));
  EXPECT_THAT(Refusal(GenerateFrom({"--ids", "1", "--stop", ""}), 2), StartsWith("--stop: give"));
  EXPECT_THAT(Refusal(GenerateFrom({"--ids", "1", "--json", "-", "--stop", "x"}), 2),
              HasSubstr("tokenizer.json"));
}

TEST_F(PinboardProgram, LayersTablesAndScopeAreRunAsAskedAndNamedInTheResults) {
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

TEST_F(PinboardProgram, ASuiteThatIsWrongIsNamedWithFileAndLine) {
  engine::testing::WriteFile(*directory_ / "bad.jsonl", "{\"context\":[1,2]}\nnot json\n");
  EXPECT_THAT(Refusal(Eval({}, "bad.jsonl"), 2), HasSubstr("bad.jsonl:2: not a JSON object"));
  engine::testing::WriteFile(*directory_ / "big.jsonl", "{\"context\":[1,96]}\n");
  EXPECT_THAT(Refusal(Eval({}, "big.jsonl"), 2), HasSubstr("big.jsonl:1: token id 96 in context"));
  EXPECT_THAT(Refusal(Eval({}, "none.jsonl"), 2), HasSubstr("none.jsonl"));
}

TEST_F(PinboardProgram, AModelThatIsIncompleteIsNamed) {
  const auto with_model = [](const std::string& model) {
    return std::vector<std::string>{BuiltProgram("pinboard"),
                                    "generate",
                                    "--model",
                                    model,
                                    "--ids",
                                    "1,2,3",
                                    "--tp",
                                    "2",
                                    "--service",
                                    "none",
                                    "--json",
                                    "-"};
  };
  EXPECT_THAT(Refusal(with_model(BrokenModel("no-weights", "model.safetensors", 0)), 1),
              HasSubstr("safetensors"));
  EXPECT_THAT(Refusal(with_model(BrokenModel("truncated", "model.safetensors", 5000)), 1),
              HasSubstr("model.safetensors"));
  EXPECT_THAT(Refusal(with_model(BrokenModel("no-config", "config.json", 0)), 2),
              HasSubstr("config.json"));
}

TEST_F(PinboardProgram, AServiceThatCannotBeHadIsOneLine) {
  EXPECT_THAT(Refusal(Eval({"--policy", "pinboard", "--service", FreeLoopbackAddress()}), 1),
              AllOf(HasSubstr("cache service: "), HasSubstr(": start pinboardd there first")));
  EXPECT_THAT(Refusal(Eval({"--policy", "pinboard", "--service-arena", "1000TiB"}), 1),
              HasSubstr("--arena 1000 TiB does not fit"));
}

TEST_F(PinboardProgram, AMetricsPortInUseIsOneLine) {
  const ListeningSocket taken;
  EXPECT_THAT(
      Refusal(Eval({"--policy", "full", "--metrics", absl::StrCat("127.0.0.1:", taken.port())}), 1),
      HasSubstr(absl::StrCat(taken.port())));
}

TEST_F(PinboardProgram, ARankKilledInTheMiddleIsNamedInOneLine) {
  const std::string metrics = FreeLoopbackRange(2);
  Program program(Eval({"--policy", "pinboard:recall-pages=4", "--tp", "2", "--service-arena",
                        "16MiB", "--metrics", metrics},
                       "long.jsonl"));
  ASSERT_TRUE(HasMadeSteps(program, metrics)) << program.Err();
  const std::vector<pid_t> children = program.Children();  // the service, rank 0, rank 1
  ASSERT_THAT(children, SizeIs(3)) << program.Err();
  kill(children.back(), SIGKILL);
  EXPECT_EQ(program.Wait(), 1);
  EXPECT_THAT(program.Err(), StartsWith("pinboard: rank 1 was killed by signal 9 (Killed)"));
  EXPECT_TRUE(IsOneLine(program.Err())) << program.Err();
  for (const pid_t child : children) EXPECT_TRUE(IsGone(child));
}

TEST_F(PinboardProgram, AServiceKilledInTheMiddleCostsMissesAndTheRunFinishes) {
  const std::string metrics = FreeLoopbackRange(2);
  engine::testing::WriteFile(*directory_ / "some.jsonl", SuiteText(40));
  Program program(Eval({"--policy", "pinboard:recall-pages=4", "--tp", "2", "--service-arena",
                        "16MiB", "--metrics", metrics, "--json", "-"},
                       "some.jsonl"));
  ASSERT_TRUE(HasMadeSteps(program, metrics)) << program.Err();
  ASSERT_THAT(program.Children(), SizeIs(3)) << program.Err();
  kill(program.Children().front(), SIGKILL);
  ASSERT_EQ(program.Wait(), 0) << program.Err();
  const auto object = nlohmann::json::parse(program.Out())[0];
  EXPECT_GT(object["misses"], 0);
  EXPECT_EQ(object["questions"], 40);
  EXPECT_EQ(object["keepset_mismatches"], 0);
}

}  // namespace
}  // namespace pinboard::app
