// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "app/eval/arm.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"

namespace pinboard::app {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using ::testing::StartsWith;

std::vector<Arm> Parse(const std::string& policies, const std::string& budgets,
                       bool has_service = true, const SequenceOptions& defaults = {}) {
  const auto arms = ParseArms(policies, budgets, defaults, has_service);
  EXPECT_TRUE(arms.ok()) << arms.status();
  return *arms;
}

std::string Refusal(const std::string& policies, const std::string& budgets,
                    const SequenceOptions& defaults = {}) {
  const auto arms = ParseArms(policies, budgets, defaults, true);
  EXPECT_EQ(arms.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(arms.status().message());
}

TEST(Arms, EveryPolicyMeetsEveryBudget) {
  const auto arms = Parse("snapkv,infokv", "0.1,0.2");
  ASSERT_THAT(arms, SizeIs(4));
  EXPECT_EQ(arms[0].policy, "snapkv");
  EXPECT_EQ(arms[1].options.budget, 0.2);
  EXPECT_EQ(arms[2].options.policy, "infokv");
  EXPECT_THAT(arms[3].budgets, ElementsAre(0.2));
}

TEST(Arms, FullIsMeasuredOnceAndReportedUnderEveryBudget) {
  const auto arms = Parse("full,snapkv", "0.1,0.2");
  ASSERT_THAT(arms, SizeIs(3));
  EXPECT_TRUE(arms[0].keeps_all);
  EXPECT_THAT(arms[0].budgets, ElementsAre(0.1, 0.2));
  EXPECT_EQ(arms[0].options.band, 0.0);
}

TEST(Arms, InlineOptionsOverrideTheDefaultsAndNameTheArmWhereTheResultsDoNot) {
  SequenceOptions defaults;
  defaults.alpha = 0.7;
  const auto arms =
      Parse("infokv:fusion=max:band=0:recall-pages=8,pinboard", "0.1", true, defaults);
  EXPECT_EQ(arms[0].policy, "infokv:fusion=max");
  EXPECT_EQ(arms[0].options.fusion, "max");
  EXPECT_EQ(arms[0].options.band, 0.0);
  EXPECT_EQ(arms[0].options.recall_pages, 8);
  EXPECT_EQ(arms[0].options.alpha, 0.7);
  EXPECT_EQ(arms[1].policy, "pinboard");
  EXPECT_EQ(arms[1].options.fusion, "published");
  EXPECT_EQ(arms[1].options.recall_pages, 16);
}

TEST(Arms, OnlyPinboardSharesItsBand) {
  const auto arms = Parse("pinboard:near-share=0.5,pinboard,infokv", "0.1");
  EXPECT_EQ(arms[0].policy, "pinboard:near-share=0.5");
  EXPECT_EQ(arms[0].options.near_share, 0.5);
  EXPECT_EQ(arms[1].options.near_share, 0.9);
  EXPECT_EQ(arms[2].options.near_share, 0.0);
  EXPECT_THAT(Refusal("pinboard:near-share=2", "0.1"), HasSubstr("near_share is 2"));
}

TEST(Arms, SayWhoseEntropyARowHasAndItsUnit) {
  const auto arms =
      Parse("infokv,pinboard:align=at-i,entropy-only:entropy-unit=log-k:align=predicted-i", "0.1");
  EXPECT_FALSE(arms[0].options.align_at || arms[0].options.entropy_over_log_k);
  EXPECT_EQ(arms[1].policy, "pinboard:align=at-i");
  EXPECT_TRUE(arms[1].options.align_at);
  EXPECT_TRUE(arms[2].options.entropy_over_log_k);
  EXPECT_FALSE(arms[2].options.align_at);
}

TEST(Arms, ABudgetOfItsOwnTakesTheArmOutOfTheList) {
  const auto arms = Parse("snapkv:budget=0.185,pinboard", "0.1,0.2");
  ASSERT_THAT(arms, SizeIs(3));
  EXPECT_EQ(arms[0].options.budget, 0.185);
  EXPECT_EQ(arms[0].policy, "snapkv");
}

TEST(Arms, LayersAndScopeAreNamedAndPyramidKvBringsItsOwn) {
  SequenceOptions defaults;
  defaults.scope = "global";
  const auto arms = Parse("snapkv,pyramidkv:scope=layer,infokv:layers=adaptive:scope=layer", "0.1",
                          true, defaults);
  EXPECT_EQ(arms[0].options.layers, "uniform");
  EXPECT_EQ(arms[0].options.scope, "global");
  EXPECT_EQ(arms[1].options.layers, "pyramid");
  EXPECT_EQ(arms[1].options.scope, "layer");
  EXPECT_EQ(arms[2].policy, "infokv:layers=adaptive:scope=layer");
  EXPECT_THAT(Refusal("snapkv:layers=cone", "0.1"), HasSubstr("uniform, pyramid or adaptive"));
  EXPECT_THAT(Refusal("snapkv:scope=head", "0.1"), HasSubstr("use layer or global"));
  EXPECT_THAT(Refusal("pyramidkv:scope=global", "0.1"), HasSubstr("one set for all layers"));
}

TEST(Arms, UnequalCountsNeedTablesOfLayers) {
  const auto arms = Parse("full,snapkv,infokv:layers=adaptive", "0.1");
  EXPECT_TRUE(CheckArms(arms, {.layer_tables = true}).ok());
  EXPECT_TRUE(CheckArms({arms.data(), 2}, {.layer_tables = false}).ok());
  EXPECT_EQ(std::string(CheckArms(arms, {.layer_tables = false}).message()),
            "--policy infokv:layers=adaptive: adaptive budgets keep unequal counts, which a block "
            "table that all layers share cannot hold: add --tables layer, or layers=uniform");
}

TEST(Arms, WithoutAServiceThereIsNeitherBandNorRecall) {
  const auto arms = Parse("pinboard:band=0.6:recall-pages=32", "0.1", /*has_service=*/false);
  EXPECT_EQ(arms[0].options.band, 0.0);
  EXPECT_EQ(arms[0].options.recall_pages, 0);
}

TEST(Arms, APolicyWithoutPagesIsNamedWhereItIsToRecall) {
  EXPECT_THAT(Refusal("snapkv-heads", "0.1"),
              StartsWith("--policy snapkv-heads: snapkv-heads keeps other rows in each KV head"));
  EXPECT_THAT(Refusal("snapkv-heads:band=0", "0.1"), HasSubstr("band and recall-pages to 0"));
  EXPECT_THAT(Parse("snapkv-heads:band=0:recall-pages=0", "0.1"), SizeIs(1));
  EXPECT_THAT(Parse("snapkv-heads", "0.1", /*has_service=*/false), SizeIs(1));
}

TEST(Arms, RecallLooksAheadByFewerLayersThanThereAre) {
  EXPECT_TRUE(CheckArms(Parse("full,pinboard:recall-ahead=6", "0.1"), {.layers = 7}).ok());
  EXPECT_TRUE(CheckArms(Parse("pinboard:recall-ahead=-1", "0.1"), {.layers = 7}).ok());
  for (const char* ahead : {"7", "-2"}) {
    const auto arms = Parse(absl::StrCat("full,pinboard:recall-ahead=", ahead), "0.1");
    const absl::Status refused = CheckArms(arms, {.layers = 7});
    EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(std::string(refused.message()),
              absl::StrCat("--policy pinboard:recall-ahead=", ahead, ": recall_ahead is ", ahead,
                           ": use 0 to 6 layers, or -1 for one step behind"));
  }
}

TEST(Arms, HeadsThatKeepRowsOfTheirOwnDoSoOnTheCpuAndNotInOneSetForAllLayers) {
  const auto arms = Parse("snapkv,snapkv-heads:band=0:recall-pages=0", "0.1");
  EXPECT_TRUE(CheckArms(arms, {.backend = Backend::kCpu}).ok());
  EXPECT_TRUE(CheckArms({arms.data(), 1}, {.backend = Backend::kCuda}).ok());
  const absl::Status refused = CheckArms(arms, {.backend = Backend::kCuda});
  EXPECT_EQ(refused.code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(std::string(refused.message()),
              HasSubstr(": snapkv-heads works on the CPU backend alone: use --backend cpu"));
  EXPECT_THAT(Refusal("snapkv-heads:band=0:recall-pages=0:scope=global", "0.1"),
              HasSubstr("use scope=layer"));
}

TEST(Arms, OnlyH2oLooksAtAllQueries) {
  const auto arms = Parse("snapkv,h2o", "0.1");
  EXPECT_FALSE(arms[0].looks_at_all_queries);
  EXPECT_TRUE(arms[1].looks_at_all_queries);
}

TEST(Arms, MistakesAreNamed) {
  EXPECT_THAT(Refusal("snapvk", "0.1"),
              StartsWith("--policy snapvk: unknown policy 'snapvk': known are full, random"));
  EXPECT_THAT(Refusal("", "0.1"), HasSubstr("unknown policy ''"));
  EXPECT_THAT(Refusal("infokv:fuson=max", "0.1"),
              HasSubstr("'fuson' is no option of infokv, which has fusion, alpha, tau, align, "
                        "entropy-unit, window"));
  EXPECT_THAT(
      Refusal("snapkv:alpha=0.5", "0.1"),
      HasSubstr("'alpha' is no option of snapkv, which has window, ratio, cap, budget, band"));
  EXPECT_THAT(Refusal("infokv:near-share=0.5", "0.1"), HasSubstr("is no option of infokv"));
  EXPECT_THAT(Refusal("infokv:fusion=min", "0.1"),
              HasSubstr("unknown fusion 'min': use published or max"));
  EXPECT_THAT(Refusal("infokv", "0.1", {.fusion = "min"}), HasSubstr("unknown fusion 'min'"));
  EXPECT_THAT(Refusal("infokv:align=i", "0.1"), HasSubstr("'i' is neither predicted-i nor at-i"));
  EXPECT_THAT(Refusal("infokv:entropy-unit=bits", "0.1"), HasSubstr("neither nats nor log-k"));
  EXPECT_THAT(Refusal("snapkv:align=at-i", "0.1"), HasSubstr("is no option of snapkv"));
  EXPECT_THAT(Refusal("infokv:alpha=2", "0.1"), HasSubstr("alpha is 2: it must lie in [0, 1]"));
  EXPECT_THAT(Refusal("infokv:alpha", "0.1"), HasSubstr("'' is not a number"));
  EXPECT_THAT(Refusal("pinboard:recall-when=interval", "0.1"), HasSubstr("use step, interval:N"));
  EXPECT_THAT(Refusal("pinboard:recall-when=interval:8:4", "0.1"), HasSubstr("interval:8:4"));
  EXPECT_THAT(Refusal("pinboard:8", "0.1"), HasSubstr("'8' is no option of pinboard"));
  EXPECT_THAT(Refusal("pinboard:recall-pages=1.5", "0.1"),
              HasSubstr("'1.5' is not a whole number"));
  EXPECT_THAT(Refusal("pinboard:recall-pages=2000", "0.1"), HasSubstr("[0, 1024]"));
  EXPECT_THAT(Refusal("snapkv:budget=0", "0.1"), HasSubstr("budget is 0"));
  EXPECT_THAT(Refusal("snapkv:budget=0.1:cap=100", "0.1"),
              HasSubstr("budget and cap: an arm has one of them"));
  EXPECT_THAT(Refusal("rpc:cap=100:ratio=0.25", "0.1"), HasSubstr("cap and ratio: an arm has"));
  EXPECT_THAT(Refusal("rpc:ratio=0.5:ratio=0.25", "0.1"), HasSubstr("ratio and ratio"));
  EXPECT_THAT(Refusal("snapkv", "0.1,1.5"), StartsWith("--budget: budget is 1.5"));
  EXPECT_THAT(Refusal("snapkv", "0"), HasSubstr("(0, 1]"));
  EXPECT_THAT(Refusal("snapkv", "a"), HasSubstr("'a' is not a number"));
}

TEST(Arm, AnOptionsValueMayHaveAColon) {
  const auto arms =
      Parse("pinboard:recall-when=interval:8:recall-ahead=0:recall-pages=32", "0.1", true);
  ASSERT_EQ(arms.size(), 1U);
  EXPECT_EQ(arms[0].policy, "pinboard:recall-when=interval:8:recall-ahead=0");
  EXPECT_EQ(arms[0].options.recall_when, "interval:8");
  EXPECT_EQ(arms[0].options.recall_ahead, 0);
  EXPECT_EQ(arms[0].options.recall_pages, 32);
}

}  // namespace
}  // namespace pinboard::app
