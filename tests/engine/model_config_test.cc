// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "engine/model_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/rank_plan.h"
#include "tests/engine/tiny_model.h"

namespace pinboard::engine {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::TinyDeepseekJson;
using testing::TinyLlamaJson;
using testing::TinyMoeJson;
using testing::TinyQwen2Json;

ModelConfig Parse(const json& object) { return *ParseModelConfig(object.dump(), "C"); }

absl::Status ErrorOf(json object, const json& changes) {
  object.update(changes);
  return ParseModelConfig(object.dump(), "C").status();
}

std::string MessageOf(const json& object, const json& changes) {
  return std::string(ErrorOf(object, changes).message());
}

TEST(ModelConfigTest, LlamaWithDerivedAndExplicitHeadDim) {
  json object = TinyLlamaJson();
  ModelConfig config = Parse(object);
  EXPECT_EQ(config.head_dim, 8);
  EXPECT_EQ(config.key_dim(), 8);
  EXPECT_FLOAT_EQ(config.attention_scale(), 1 / std::sqrt(8.0F));
  EXPECT_EQ(config.rope.theta, 1000.0);
  EXPECT_EQ(config.rms_norm_eps, 1e-5);
  EXPECT_THAT(config.eos_ids, ElementsAre(2));
  EXPECT_FALSE(config.qkv_bias);
  object["head_dim"] = 12;
  object["eos_token_id"] = {5, 6};
  object.erase("num_key_value_heads");
  config = Parse(object);
  EXPECT_EQ(config.head_dim, 12);
  EXPECT_EQ(config.kv_heads, 8);
  EXPECT_THAT(config.eos_ids, ElementsAre(5, 6));
}

TEST(ModelConfigTest, GenerationConfigHasTheLastWordOnWhatEndsAText) {
  testing::TinyDirectory directory("generation-config");
  testing::WriteFile(directory / "config.json", TinyLlamaJson().dump());
  EXPECT_THAT(LoadModelConfig(directory.path())->eos_ids, ElementsAre(2));
  const auto write = [&](const std::string& text) {
    testing::WriteFile(directory / "generation_config.json", text);
  };
  write("{\"do_sample\": true}");
  EXPECT_THAT(LoadModelConfig(directory.path())->eos_ids, ElementsAre(2));
  write("{\"eos_token_id\": []}");
  EXPECT_THAT(LoadModelConfig(directory.path())->eos_ids, ElementsAre(2));
  write("{\"eos_token_id\": [7, 9]}");
  EXPECT_THAT(LoadModelConfig(directory.path())->eos_ids, ElementsAre(7, 9));
  write("{\"eos_token_id\": 7}");
  EXPECT_THAT(LoadModelConfig(directory.path())->eos_ids, ElementsAre(7));
  write("[]");
  EXPECT_THAT(std::string(LoadModelConfig(directory.path()).status().message()),
              HasSubstr("/generation_config.json: not a JSON object"));
}

TEST(ModelConfigTest, Qwen2HasBiasAndRopeThetaInRopeParameters) {
  const ModelConfig config = Parse(TinyQwen2Json());
  EXPECT_TRUE(config.qkv_bias);
  EXPECT_TRUE(config.tie_word_embeddings);
  EXPECT_EQ(config.rope.theta, 500.0);
}

TEST(ModelConfigTest, DeepseekCachesLatentAndRotary) {
  const ModelConfig config = Parse(TinyDeepseekJson());
  EXPECT_EQ(config.key_dim(), 24 + 8);
  EXPECT_EQ(config.value_dim(), 24);
  EXPECT_EQ(config.mla.q_lora_rank, 0);
  EXPECT_TRUE(config.mla.rope_interleave);
  EXPECT_FLOAT_EQ(config.attention_scale(), 1 / std::sqrt(20.0F));
}

TEST(ModelConfigTest, WhatIsNotSupportedIsUnimplementedByName) {
  const auto expect = [](const json& object, const json& changes, const std::string& name) {
    const absl::Status status = ErrorOf(object, changes);
    EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(name));
  };
  const json llama = TinyLlamaJson();
  expect(llama, {{"architectures", {"GPT2LMHeadModel"}}}, "GPT2LMHeadModel");
  expect(llama, {{"rope_scaling", {{"rope_type", "longrope"}}}},
         "C: rope_scaling: rope type \"longrope\"");
  expect(llama, {{"rope_parameters", {{"type", "dynamic"}}}},
         "C: rope_parameters: rope type \"dynamic\"");
  expect(llama, {{"rope_parameters", {{"full_attention", {{"rope_type", "default"}}}}}},
         "a rope for \"full_attention\"");
  expect(llama, {{"partial_rotary_factor", 0.5}}, "partial_rotary_factor");
  expect(llama, {{"hidden_act", "gelu"}}, "gelu");
  expect(llama, {{"attention_bias", true}}, "attention_bias");
  expect(llama, {{"mlp_bias", true}}, "mlp_bias");
  expect(llama, {{"quantization_config", {{"bits", 4}}}}, "quantization_config");
  expect(TinyQwen2Json(), {{"use_sliding_window", true}}, "use_sliding_window");
  const json experts = TinyMoeJson();
  expect(experts, {{"moe_layer_freq", 2}}, "C: moe_layer_freq 2 (known: 1)");
  expect(experts, {{"scoring_func", "softmax"}}, "C: scoring_func \"softmax\"");
  expect(experts, {{"topk_method", "greedy"}}, "C: topk_method \"greedy\"");
}

TEST(ModelConfigTest, AFieldThatMakesNoSenseIsNamed) {
  const json llama = TinyLlamaJson();
  EXPECT_THAT(MessageOf(llama, {{"vocab_size", nullptr}}), HasSubstr("\"vocab_size\" is missing"));
  EXPECT_THAT(MessageOf(llama, {{"hidden_size", -4}}), HasSubstr("\"hidden_size\" must be"));
  EXPECT_THAT(MessageOf(llama, {{"hidden_size", "64"}}), HasSubstr("\"hidden_size\" must be"));
  EXPECT_THAT(MessageOf(llama, {{"hidden_size", 1}}), HasSubstr("less than the heads"));
  EXPECT_THAT(MessageOf(llama, {{"rms_norm_eps", 0}}), HasSubstr("rms_norm_eps"));
  EXPECT_THAT(MessageOf(llama, {{"num_key_value_heads", 3}}), HasSubstr("3 key-value heads"));
  EXPECT_THAT(MessageOf(llama, {{"eos_token_id", "x"}}), HasSubstr("eos_token_id"));
  EXPECT_THAT(MessageOf(llama, {{"head_dim", 7}}), HasSubstr("even"));
  EXPECT_THAT(MessageOf(llama, {{"tie_word_embeddings", 1}}), HasSubstr("true or false"));
  EXPECT_THAT(MessageOf(llama, {{"architectures", json::array()}}), HasSubstr("architectures"));
  EXPECT_THAT(MessageOf(TinyDeepseekJson(), {{"kv_lora_rank", nullptr}}),
              HasSubstr("kv_lora_rank"));
  EXPECT_THAT(std::string(ParseModelConfig("{", "C").status().message()),
              HasSubstr("C: not a JSON object"));
}

TEST(ModelConfigTest, ExpertsAreReadAndADenseModelHasNone) {
  const MoeConfig moe = Parse(TinyMoeJson()).moe;
  EXPECT_EQ(moe.routed_experts, 12);
  EXPECT_EQ(moe.shared_experts, 2);
  EXPECT_EQ(moe.experts_per_token, 3);
  EXPECT_EQ(moe.groups, 4);
  EXPECT_EQ(moe.groups_per_token, 2);
  EXPECT_TRUE(moe.normalised);
  EXPECT_EQ(moe.weight_scale, 2.5);
  EXPECT_EQ(moe.intermediate_size, 24);
  EXPECT_FALSE(moe.HasExperts(0));
  EXPECT_TRUE(moe.HasExperts(1));
  json dense = TinyMoeJson();
  dense["first_k_dense_replace"] = 3;
  EXPECT_EQ(Parse(dense).moe.routed_experts, 0);
  EXPECT_FALSE(Parse(dense).moe.HasExperts(2));
  EXPECT_FALSE(Parse(TinyDeepseekJson()).moe.HasExperts(2));
}

TEST(ModelConfigTest, ExpertsThatDoNotFitAreNamed) {
  const json experts = TinyMoeJson();
  for (const char* name :
       {"n_shared_experts", "num_experts_per_tok", "n_group", "topk_group", "routed_scaling_factor",
        "moe_intermediate_size", "first_k_dense_replace"}) {
    json incomplete = experts;
    incomplete.erase(name);
    EXPECT_EQ(MessageOf(incomplete, json::object()), "C: \"" + std::string(name) + "\" is missing");
  }
  EXPECT_THAT(MessageOf(experts, {{"n_group", 5}}), HasSubstr("12 routed experts do not make 5"));
  EXPECT_THAT(MessageOf(experts, {{"n_group", 12}}), HasSubstr("groups of two or more"));
  EXPECT_THAT(MessageOf(experts, {{"topk_group", 5}}), HasSubstr("\"topk_group\" is 5 of 4"));
  EXPECT_THAT(MessageOf(experts, {{"num_experts_per_tok", 7}}), HasSubstr("have 6 experts"));
}

TEST(RankPlanTest, HeadsColumnsAndVocabularyAreShared) {
  const ModelConfig config = Parse(TinyLlamaJson());
  const RankPlan plan = *MakeRankPlan(config, 1, 2);
  EXPECT_EQ(plan.first_head, 4);
  EXPECT_EQ(plan.heads, 4);
  EXPECT_EQ(plan.first_kv_head, 1);
  EXPECT_EQ(plan.kv_heads, 1);
  EXPECT_EQ(plan.kv_replicas, 1);
  EXPECT_EQ(plan.first_column, 40);
  EXPECT_EQ(plan.vocab_begin, 48);
}

TEST(RankPlanTest, KvHeadsAreReplicatedWhereRanksExceedThem) {
  const ModelConfig config = Parse(TinyLlamaJson());
  for (int rank = 0; rank < 8; ++rank) {
    const RankPlan plan = *MakeRankPlan(config, rank, 8);
    EXPECT_EQ(plan.heads, 1);
    EXPECT_EQ(plan.kv_heads, 1);
    EXPECT_EQ(plan.kv_replicas, 4);
    EXPECT_EQ(plan.first_kv_head, rank / 4);
  }
}

TEST(RankPlanTest, MlaKeepsTheLatentOnEveryRank) {
  const RankPlan plan = *MakeRankPlan(Parse(TinyDeepseekJson()), 3, 4);
  EXPECT_EQ(plan.kv_heads, 1);
  EXPECT_EQ(plan.kv_replicas, 4);
  EXPECT_EQ(plan.first_head, 6);
}

TEST(RankPlanTest, EveryExpertsColumnsAreShared) {
  const RankPlan plan = *MakeRankPlan(Parse(TinyMoeJson()), 3, 4);
  EXPECT_EQ(plan.expert_columns, 6);
  EXPECT_EQ(plan.first_expert_column, 18);
  json uneven = TinyMoeJson();
  uneven["moe_intermediate_size"] = 27;
  EXPECT_THAT(std::string(MakeRankPlan(Parse(uneven), 0, 2).status().message()),
              HasSubstr("27 columns of an expert"));
}

TEST(RankPlanTest, ATpThatDoesNotDivideIsNamedWithWhatItWouldHaveTo) {
  const auto message = [](const json& changes, int ranks) {
    json object = TinyLlamaJson();
    object.update(changes);
    return std::string(MakeRankPlan(Parse(object), 0, ranks).status().message());
  };
  EXPECT_EQ(message(json::object(), 3),
            "tp 3 does not divide the model's 8 attention heads: choose a tp that does");
  EXPECT_THAT(message({{"intermediate_size", 81}}, 2), HasSubstr("81 MLP columns"));
  EXPECT_THAT(message({{"vocab_size", 97}}, 2), HasSubstr("97 vocabulary rows"));
  EXPECT_THAT(message({{"num_attention_heads", 12},
                       {"num_key_value_heads", 6},
                       {"head_dim", 8},
                       {"vocab_size", 48},
                       {"intermediate_size", 48}},
                      4),
              HasSubstr("6 key-value heads"));
}

}  // namespace
}  // namespace pinboard::engine
