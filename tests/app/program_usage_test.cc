// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What the program says when it is asked for help, or wrongly.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "absl/strings/str_split.h"
#include "tests/app/program_fixture.h"
#include "tests/app/refusal.h"

namespace pinboard::app {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

class ProgramUsage : public PinboardProgram {
 protected:
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
};

TEST_F(ProgramUsage, HelpTeachesAndVersionAnswers) {
  const std::string model = "--model models/tiny-llama";
  const std::vector<std::pair<std::vector<std::string>, std::string>> examples = {
      {{"--help"}, model},
      {{"eval", "--help"}, model},
      {{"generate", "--help"}, model},
      {{"size", "--help"}, model},
      {{"bench", "service", "--help"}, "--workload bench/service/workloads/get-64k.json"},
      {{"stat", "--help"}, "--service 127.0.0.1:7700"},
      {{"inspect", "--help"}, "--service 127.0.0.1:7700"}};
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

TEST_F(ProgramUsage, WrongUsageIsOneLineAndExitCodeTwo) {
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
  EXPECT_THAT(Refusal(Eval({"--backend", "gpu"}), 2), HasSubstr("use cpu or cuda"));
  EXPECT_THAT(Refusal(GenerateFrom({"--ids", "1", "--layers", "pyramid"}), 2),
              HasSubstr("add --tables layer"));
  const std::vector<std::string> bench = {pinboard, "bench", "throughput", "--model",
                                          directory_->path()};
  for (const auto& command : {Eval({}), GenerateFrom({"--ids", "1"}), bench}) {
    const auto refusal = [&](const std::vector<std::string>& more) {
      std::vector<std::string> arguments = command;
      arguments.insert(arguments.end(), more.begin(), more.end());
      return Refusal(arguments, 2);
    };
    EXPECT_THAT(refusal({"--fusion", "bogus"}), HasSubstr("unknown fusion 'bogus': use published"));
    EXPECT_THAT(refusal({"--recall-ahead", "99"}), HasSubstr("recall_ahead is 99: use 0 to "));
    EXPECT_THAT(refusal({"--policy", "pinboard:recall-ahead=99"}), HasSubstr("recall_ahead is 99"));
    const std::string heads = "snapkv-heads:band=0:recall-pages=0";
    EXPECT_THAT(refusal({"--policy", heads + ":scope=global"}), HasSubstr("use scope=layer"));
    EXPECT_THAT(refusal({"--policy", heads, "--backend", "cuda"}), HasSubstr("use --backend cpu"));
  }
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

TEST_F(ProgramUsage, APromptFileThatIsWrongIsNamedWithFileAndLine) {
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
  EXPECT_THAT(refusal("{\"prompt\":[1]}\n{\"prompt\":[1],\"policy\":\"pyramidkv\"}\n"),
              HasSubstr("wrong.jsonl:2: --policy pyramidkv: pyramid budgets keep unequal counts"));
  EXPECT_THAT(refusal("{\"prompt\":[1],\"prompt_tokens\":4}\n"),
              HasSubstr("give one of prompt and"));
  EXPECT_THAT(refusal("{\"prompt_tokens\":0}\n"), HasSubstr("prompt_tokens is 0: a whole number"));
  EXPECT_THAT(refusal("{\"prompt\":[1],\"length\":4}\n"),
              HasSubstr("'length' is not known: a line has prompt or prompt_tokens, "));
  EXPECT_THAT(Refusal(GenerateFrom({"--prompts", Path("nothing.jsonl")}), 2),
              HasSubstr("nothing.jsonl: No such file"));
  for (const std::string flag : {"--prompts", "--prompt-file"}) {
    EXPECT_THAT(Refusal(GenerateFrom({flag, Path("")}), 2),
                HasSubstr(flag + ": " + Path("") + ": Is a directory"));
  }
  EXPECT_THAT(Refusal(GenerateFrom({"--ids", "1", "--when", "often"}), 2),
              HasSubstr("--when: 'often' is neither every:N"));
  EXPECT_THAT(Refusal(GenerateFrom({"--ids", "1", "--prompts", Path("suite.jsonl")}), 2),
              HasSubstr("give one of --prompt, --prompt-file, --ids, --prompt-tokens and"));
}

TEST_F(ProgramUsage, RandomWeightsHaveNoTokenizerAndNoModelBeside) {
  const auto refusal = [](const std::vector<std::string>& more, int code) {
    std::vector<std::string> arguments = {BuiltProgram("pinboard"), "generate", "--random-weights",
                                          Path("config.json")};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return Refusal(arguments, code);
  };
  EXPECT_THAT(refusal({"--model", "m", "--ids", "1"}, 2), HasSubstr("give one of --model and"));
  EXPECT_THAT(refusal({"--prompt", "Dear"}, 2), HasSubstr("have no tokenizer: give token ids"));
  EXPECT_THAT(refusal({"--ids", "1"}, 1), HasSubstr("as JSON (--json -)"));
  EXPECT_THAT(
      Refusal({BuiltProgram("pinboard"), "generate", "--random-weights", "nowhere", "--ids", "1"},
              2),
      HasSubstr("nowhere/config.json"));
}

TEST_F(ProgramUsage, ASuiteThatIsWrongIsNamedWithFileAndLine) {
  engine::testing::WriteFile(*directory_ / "bad.jsonl", "{\"context\":[1,2]}\nnot json\n");
  EXPECT_THAT(Refusal(Eval({}, "bad.jsonl"), 2), HasSubstr("bad.jsonl:2: not a JSON object"));
  engine::testing::WriteFile(*directory_ / "big.jsonl", "{\"context\":[1,96]}\n");
  EXPECT_THAT(Refusal(Eval({}, "big.jsonl"), 2), HasSubstr("big.jsonl:1: token id 96 in context"));
  EXPECT_THAT(Refusal(Eval({}, "none.jsonl"), 2), HasSubstr("none.jsonl"));
}

TEST_F(ProgramUsage, AModelThatIsIncompleteIsNamed) {
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

}  // namespace
}  // namespace pinboard::app
