// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What the tests of the program have in common: a small random model, and suites for it.
#pragma once

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/app/program.h"
#include "tests/engine/tiny_model.h"

namespace pinboard::app {

inline nlohmann::json RandomIds(std::mt19937* random, int count) {
  nlohmann::json ids = nlohmann::json::array();
  for (int i = 0; i < count; ++i) {
    ids.push_back(std::uniform_int_distribution<int>(3, 95)(*random));
  }
  return ids;
}

inline std::string SuiteText(int contexts) {
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

class PinboardProgram : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    directory_ = new engine::testing::TinyDirectory(
        ::testing::UnitTest::GetInstance()->current_test_suite()->name());
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

  inline static engine::testing::TinyDirectory* directory_ = nullptr;
};

}  // namespace pinboard::app
