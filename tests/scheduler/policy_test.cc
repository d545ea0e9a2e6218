// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "scheduler/policy/policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace pinboard::scheduler {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

PolicySpec Make(const char* name, const MethodOptions& method = {}) {
  const auto spec = MakePolicy(name, method);
  EXPECT_TRUE(spec.ok()) << spec.status();
  return *spec;
}

TEST(Policy, EveryKnownNameMakesAPolicyOfThatName) {
  EXPECT_THAT(PolicyNames(), ElementsAre("full", "random", "recency", "random-prompt",
                                         "recency-prompt", "snapkv", "snapkv-heads", "pyramidkv",
                                         "h2o", "tova", "rpc", "rkv", "expected-attention",
                                         "entropy-only", "shift-only", "infokv", "pinboard"));
  for (const auto& name : PolicyNames()) EXPECT_EQ(Make(name.c_str()).name, name);
}

TEST(Policy, PyramidKvIsSnapKvUnderAPyramid) {
  const PolicySpec pyramid = Make("pyramidkv");
  const PolicySpec snapkv = Make("snapkv");
  EXPECT_EQ(pyramid.layers, LayerShare::kPyramid);
  EXPECT_EQ(snapkv.layers, LayerShare::kUniform);
  EXPECT_EQ(pyramid.queries, snapkv.queries);
  EXPECT_EQ(pyramid.pool, snapkv.pool);
  EXPECT_EQ(pyramid.keep, snapkv.keep);
}

TEST(Policy, OnlyFullKeepsAll) {
  for (const auto& name : PolicyNames()) {
    EXPECT_EQ(Make(name.c_str()).keeps_all(), name == "full") << name;
  }
}

TEST(Policy, OnlyRpcAndTheNamesThatSayPromptProtectIt) {
  for (const auto& name : PolicyNames()) {
    const bool says = name.find("prompt") != std::string::npos || name == "rpc";
    EXPECT_EQ(Make(name.c_str()).protect_prompt, says) << name;
  }
}

TEST(Policy, SnapKvPoolsFiveOverTheWindowAndTakesNoInformation) {
  MethodOptions method;
  method.window = 32;
  const PolicySpec spec = Make("snapkv", method);
  EXPECT_EQ(spec.queries, AttentionQueries::kWindow);
  EXPECT_EQ(spec.window, 32);
  EXPECT_EQ(spec.pool, 5);
  EXPECT_EQ(spec.keep, ScoreRule::kAttention);
  EXPECT_EQ(spec.band, ScoreRule::kAttention);
}

TEST(Policy, SnapKvHeadsIsSnapKvForEachHeadAndHasNoPages) {
  const PolicySpec spec = Make("snapkv-heads");
  EXPECT_TRUE(spec.per_head);
  EXPECT_EQ(spec.window, Make("snapkv").window);
  EXPECT_EQ(spec.pool, Make("snapkv").pool);
  EXPECT_TRUE(CheckPages(spec, 0.0, 0).ok());
  EXPECT_TRUE(CheckPages(Make("snapkv"), 0.4, 16).ok());
  EXPECT_THAT(std::string(CheckPages(spec, 0.4, 0).message()), HasSubstr("snapkv-heads keeps"));
  EXPECT_EQ(CheckPages(spec, 0.0, 16).code(), absl::StatusCode::kInvalidArgument);
}

TEST(Policy, HeadsThatKeepRowsOfTheirOwnHaveNoSetForAllLayers) {
  EXPECT_TRUE(CheckScope(Make("snapkv"), KeepScope::kGlobal).ok());
  EXPECT_TRUE(CheckScope(Make("snapkv-heads"), KeepScope::kLayer).ok());
  const auto refused = CheckScope(Make("snapkv-heads"), KeepScope::kGlobal);
  EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("use scope=layer"));
}

TEST(Policy, FusionsAreNamed) {
  EXPECT_EQ(*ParseFusion("published"), ScoreRule::kPublished);
  EXPECT_EQ(*ParseFusion("max"), ScoreRule::kMaxNormalised);
  EXPECT_THAT(std::string(ParseFusion("min").status().message()),
              HasSubstr("unknown fusion 'min': use published or max"));
}

TEST(Policy, H2oLooksAtAllQueriesUnpooled) {
  const PolicySpec spec = Make("h2o");
  EXPECT_EQ(spec.queries, AttentionQueries::kAll);
  EXPECT_EQ(spec.pool, 1);
  EXPECT_EQ(spec.keep, ScoreRule::kAttention);
}

TEST(Policy, InfoKvRanksItsBandByItsOwnFusion) {
  MethodOptions method;
  method.fusion = ScoreRule::kMaxNormalised;
  const PolicySpec spec = Make("infokv", method);
  EXPECT_EQ(spec.keep, ScoreRule::kMaxNormalised);
  EXPECT_EQ(spec.band, ScoreRule::kMaxNormalised);
  EXPECT_EQ(spec.pool, 9);
}

TEST(Policy, PinboardKeepsByTheFusionAndSharesItsBandBetweenFusionAndInformation) {
  EXPECT_EQ(Make("pinboard").keep, ScoreRule::kPublished);
  EXPECT_EQ(Make("pinboard").band, ScoreRule::kInformation);
  EXPECT_EQ(Make("pinboard").near_share, 0.9);
  MethodOptions method;
  method.near_share = 0.25;
  EXPECT_EQ(Make("pinboard", method).near_share, 0.25);
  EXPECT_EQ(Make("infokv", method).near_share, 0.0) << "it ranks all of its band by one score";
  method.fusion = ScoreRule::kMaxNormalised;
  EXPECT_EQ(Make("pinboard", method).keep, ScoreRule::kMaxNormalised);
  EXPECT_EQ(Make("pinboard", method).band, ScoreRule::kInformation);
}

TEST(Policy, TovaAndRpcLookAtWindowsOfTheirOwnWhateverTheMethods) {
  MethodOptions method;
  method.window = 16;
  EXPECT_EQ(Make("tova", method).window, 1);
  EXPECT_EQ(Make("tova", method).pool, 1);
  EXPECT_EQ(Make("rpc", method).window, 32);
  EXPECT_EQ(Make("rpc", method).pool, 7);
  EXPECT_EQ(Make("rpc", method).method.window, 16) << "what is protected is the method's";
}

TEST(Policy, RkvWeighsAttentionAgainstRedundancyWhateverTheMethodsAlpha) {
  const PolicySpec spec = Make("rkv");
  EXPECT_EQ(spec.queries, AttentionQueries::kWindow);
  EXPECT_EQ(spec.window, 8);
  EXPECT_EQ(spec.pool, 1);
  EXPECT_EQ(spec.keep, ScoreRule::kDistinct);
  EXPECT_EQ(spec.band, ScoreRule::kDistinct);
  EXPECT_EQ(spec.alpha, 0.07);
}

TEST(Policy, ExpectedAttentionLooksAheadFromTheWindow) {
  MethodOptions method;
  method.window = 32;
  const PolicySpec spec = Make("expected-attention", method);
  EXPECT_EQ(spec.queries, AttentionQueries::kExpected);
  EXPECT_EQ(spec.window, 32);
  EXPECT_EQ(spec.keep, ScoreRule::kAttention);
}

TEST(Policy, EntropyOnlyAndShiftOnlyRankByOneFactorOfInformation) {
  EXPECT_EQ(Make("entropy-only").information, InformationSignal::kEntropy);
  EXPECT_EQ(Make("shift-only").information, InformationSignal::kShift);
  EXPECT_EQ(Make("infokv").information, InformationSignal::kProduct);
  for (const char* name : {"entropy-only", "shift-only"}) {
    EXPECT_EQ(Make(name).keep, ScoreRule::kInformation);
    EXPECT_EQ(Make(name).queries, AttentionQueries::kNone);
  }
}

TEST(Policy, RandomAndRecencyTakeNoSignals) {
  for (const char* name : {"random", "recency", "random-prompt", "recency-prompt"}) {
    const PolicySpec spec = Make(name);
    EXPECT_EQ(spec.queries, AttentionQueries::kNone) << name;
    EXPECT_EQ(spec.keep, spec.band) << name;
  }
}

TEST(Policy, TheOptionsTravelWithTheSpec) {
  MethodOptions method;
  method.alpha = 0.7;
  method.seed = 17;
  EXPECT_EQ(Make("random", method).method.seed, 17U);
  EXPECT_EQ(Make("infokv", method).method.alpha, 0.7);
}

TEST(Policy, AnUnknownNameIsAnsweredWithTheKnownOnes) {
  const auto status = MakePolicy("snapvk", {}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("unknown policy 'snapvk'"));
  for (const auto& name : PolicyNames()) {
    EXPECT_THAT(std::string(status.message()), HasSubstr(name));
  }
}

TEST(Policy, OptionsOutOfRangeAreNamed) {
  const auto refused = [](const char* option, auto change) {
    MethodOptions method;
    change(method);
    const auto status = MakePolicy("infokv", method).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << option;
    EXPECT_THAT(std::string(status.message()), HasSubstr(option));
  };
  refused("alpha", [](MethodOptions& m) { m.alpha = 1.01; });
  refused("alpha", [](MethodOptions& m) { m.alpha = std::nan(""); });
  refused("tau", [](MethodOptions& m) { m.tau = -0.1; });
  refused("tau", [](MethodOptions& m) { m.tau = 8.1; });
  refused("near_share", [](MethodOptions& m) { m.near_share = -0.1; });
  refused("near_share", [](MethodOptions& m) { m.near_share = 1.1; });
  refused("near_share", [](MethodOptions& m) { m.near_share = std::nan(""); });
  refused("top_k", [](MethodOptions& m) { m.top_k = 1; });
  refused("top_k", [](MethodOptions& m) { m.top_k = 513; });
  refused("window", [](MethodOptions& m) { m.window = 0; });
  refused("window", [](MethodOptions& m) { m.window = 1025; });
  refused("sinks", [](MethodOptions& m) { m.sinks = -1; });
  refused("fusion", [](MethodOptions& m) { m.fusion = ScoreRule::kRandom; });
}

}  // namespace
}  // namespace pinboard::scheduler
