// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// `pinboard size` as a person runs it, and its figures beside what a run measures.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "tests/app/program.h"
#include "tests/app/refusal.h"
#include "tests/engine/tiny_model.h"

namespace pinboard::app {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::vector<std::string> Size(const std::vector<std::string>& more) {
  std::vector<std::string> arguments = {BuiltProgram("pinboard"), "size"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

std::string Output(const std::vector<std::string>& arguments) {
  Program program(arguments);
  EXPECT_EQ(program.Wait(), 0) << program.Err();
  EXPECT_THAT(program.Err(), IsEmpty());
  return program.Out();
}

TEST(SizeProgram, PrintsATableAndWritesJson) {
  EXPECT_THAT(Output(Size({"--model", "llama-2-7b", "--tokens", "4096", "--gpu-memory", "64GiB"})),
              AllOf(HasSubstr("one token: 524288 bytes\n"),
                    HasSubstr("sequences in 64 GiB a GPU: 32 with everything kept, ")));
  const auto object = nlohmann::json::parse(
      Output(Size({"--model", "deepseek-v3", "--tp", "8", "--tokens", "4096", "--json", "-"})));
  EXPECT_EQ(object["token_bytes"], 70'272);
  EXPECT_EQ(object["gpu_token_bytes"], 70'272);
  EXPECT_EQ(object["kv_replicas"], 8);
}

TEST(SizeProgram, AgreesWithWhatAnEvaluationMeasures) {
  const engine::testing::TinyDirectory directory("app-size");
  engine::testing::WriteTinyModel(
      engine::testing::MakeTinyModel(engine::testing::TinyLlamaJson(), 5), directory);
  nlohmann::json ids = nlohmann::json::array();
  for (int i = 0; i < 400; ++i) ids.push_back(3 + i * i % 90);
  const nlohmann::json item = {{"context", ids}};
  engine::testing::WriteFile(directory / "suite.jsonl", item.dump() + "\n");
  const auto run = nlohmann::json::parse(
      Output({BuiltProgram("pinboard"), "eval", "--model", directory.path(), "--suite",
              (directory / "suite.jsonl").string(), "--policy", "full,snapkv", "--budget", "0.25",
              "--tp", "4", "--recall-pages", "4", "--service-arena", "16MiB", "--json", "-"}));
  const auto size = nlohmann::json::parse(
      Output(Size({"--model", directory.path(), "--tokens", "400", "--budget", "0.25", "--tp", "4",
                   "--recall-pages", "4", "--json", "-"})));
  EXPECT_EQ(size["kv_replicas"], 2);
  EXPECT_EQ(run[0]["resident_kv_bytes"].get<double>(), 4 * size["gpu_full_bytes"].get<double>());
  EXPECT_EQ(run[1]["resident_kv_bytes"].get<double>(),
            4 * size["gpu_resident_bytes"].get<double>());
  // Fewer pages than the band holds may be cut from the borderline rows.
  EXPECT_GT(run[1]["digest_bytes"].get<double>(), 0);
  EXPECT_LE(run[1]["digest_bytes"].get<double>(), 4 * size["gpu_digest_bytes"].get<double>());
}

TEST(SizeProgram, WrongUsageIsOneLineAndExitCodeTwo) {
  const auto llama = [](const std::vector<std::string>& more) {
    std::vector<std::string> arguments = Size({"--model", "llama-3.1-8b", "--tokens", "4096"});
    arguments.insert(arguments.end(), more.begin(), more.end());
    return Refusal(arguments, 2);
  };
  EXPECT_THAT(Refusal(Size({}), 2), HasSubstr("--model is missing"));
  EXPECT_THAT(Refusal(Size({"--model", "llama-3.1-8b"}), 2), HasSubstr("--tokens is missing"));
  EXPECT_THAT(llama({"--tokens", "0"}), HasSubstr("'0' is not a whole number from 1"));
  EXPECT_THAT(llama({"--model", "llama"}), HasSubstr("known are llama-2-7b, "));
  const engine::testing::TinyDirectory empty("app-size-empty");
  EXPECT_THAT(llama({"--model", empty.path()}), HasSubstr(empty.path() + "/config.json"));
  EXPECT_THAT(llama({"--tp", "3"}), HasSubstr("tp 3 does not divide"));
  EXPECT_THAT(llama({"--budget", "0"}), HasSubstr("(0, 1]"));
  EXPECT_THAT(llama({"--band", "2"}), HasSubstr("[0, 1]"));
  EXPECT_THAT(llama({"--dtype", "int4"}), HasSubstr("use bf16, fp16, f32 or fp8"));
  EXPECT_THAT(llama({"--gpu-memory", "80GB"}), HasSubstr("--gpu-memory: '80GB' is not a size"));
  EXPECT_THAT(llama({"--json", "/nowhere/x"}), HasSubstr("cannot write /nowhere/x"));
}

}  // namespace
}  // namespace pinboard::app
