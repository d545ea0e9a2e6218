// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What the tests of sessions have in common: a tiny model, and texts that the full cache makes.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "app/generate/generation.h"
#include "base/status_macros.h"
#include "tests/app/session_group.h"
#include "tests/engine/tiny_model.h"

namespace pinboard::app {

inline constexpr int kVocabulary = 96;
inline constexpr int kLayers = 3;

inline std::vector<std::int32_t> RandomIds(std::size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_int_distribution<std::int32_t> id(3, kVocabulary - 1);  // no special tokens
  std::vector<std::int32_t> ids(count);
  for (auto& value : ids) value = id(random);
  return ids;
}

/// One request, alone; `goes_on` is told of its tokens.
inline absl::StatusOr<Generation> GenerateOne(
    RankSession& session, const GenerationRequest& request,
    const std::function<absl::StatusOr<bool>(std::int32_t id)>& goes_on = nullptr) {
  GenerationHandlers handlers;
  handlers.on_token = [&](std::size_t, std::int32_t id) -> absl::StatusOr<bool> {
    return goes_on ? goes_on(id) : true;
  };
  PB_ASSIGN_OR_RETURN(Generations all, Generate(session, {request}, {}, handlers));
  return std::move(all.made.front());
}

inline GenerationRequest UnderFullCache(std::vector<std::int32_t> prompt, int max_tokens) {
  GenerationRequest request{.prompt = std::move(prompt), .max_tokens = max_tokens};
  request.method.policy = "full";
  return request;
}

/// The parameter: "llama" or "deepseek".
class SessionTest : public ::testing::TestWithParam<const char*> {
 protected:
  SessionTest()
      : directory_(::testing::UnitTest::GetInstance()->current_test_info()->test_suite_name()) {
    const bool mla = std::string(GetParam()) == "deepseek";
    auto json = mla ? engine::testing::TinyDeepseekJson() : engine::testing::TinyLlamaJson();
    json["eos_token_id"] = nullptr;
    engine::testing::WriteTinyModel(engine::testing::MakeTinyModel(json, 11), directory_);
  }

  SessionOptions Options(int cache_blocks) const {
    SessionOptions options;
    options.model_dir = directory_.path();
    options.cache_blocks = cache_blocks;
    options.census = true;
    return options;
  }

  /// What the full cache answers, so that `full` is right by construction.
  std::vector<std::int32_t> FullAnswer(const std::vector<std::int32_t>& context,
                                       const std::vector<std::int32_t>& prompt) const {
    std::vector<std::int32_t> text = context;
    text.insert(text.end(), prompt.begin(), prompt.end());
    std::vector<std::int32_t> answer;
    OnSessions(1, Options(64), nullptr, [&](RankSession& session) {
      const auto made = GenerateOne(session, UnderFullCache(text, 4));
      ASSERT_TRUE(made.ok()) << made.status();
      answer = made->ids;
    });
    return answer;
  }

  engine::testing::TinyDirectory directory_;
};

/// Behind the tests of a class that is a SessionTest.
#define INSTANTIATE_SESSION_TEST(Name)                                           \
  INSTANTIATE_TEST_SUITE_P(Models, Name, ::testing::Values("llama", "deepseek"), \
                           [](const auto& info) { return std::string(info.param); })

}  // namespace pinboard::app
