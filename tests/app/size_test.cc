// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The memory of a KV cache, against figures worked by hand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "app/size/known_models.h"
#include "app/size/memory_plan.h"
#include "app/size/model_shape.h"
#include "app/size/size_report.h"

namespace pinboard::app {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

MemoryRequest RequestFor(const std::string& model, int tokens) {
  MemoryRequest request;
  request.model = *FindAttentionShape(model);
  request.tokens = tokens;
  return request;
}

std::uint64_t TokenBytes(const std::string& model, RowFormat format = RowFormat::kBF16) {
  MemoryRequest request = RequestFor(model, 1);
  request.format = format;
  return PlanMemory(request)->token_bytes;
}

std::string Refusal(const MemoryRequest& request) {
  const absl::Status status = PlanMemory(request).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  return std::string(status.message());
}

TEST(KnownModels, TakeThePublishedBytesPerToken) {
  EXPECT_EQ(TokenBytes("llama-2-7b"), 524'288U);
  EXPECT_EQ(TokenBytes("llama-3.1-8b"), 131'072U);
  EXPECT_EQ(TokenBytes("llama-3.2-3b"), 114'688U);
  EXPECT_EQ(TokenBytes("deepseek-r1"), 70'272U);
}

TEST(KnownModels, TheOthersFollowFromTheirShapes) {
  EXPECT_EQ(TokenBytes("llama-3.1-70b"), 80U * 2 * 8 * 128 * 2);
  EXPECT_EQ(TokenBytes("llama-3.2-1b"), 16U * 2 * 8 * 64 * 2);
  EXPECT_EQ(TokenBytes("deepseek-v3"), TokenBytes("deepseek-r1"));
}

TEST(KnownModels, AnUnknownNameIsAnsweredWithTheKnownOnes) {
  const absl::Status status = FindAttentionShape("llama-9").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("unknown model 'llama-9'"), HasSubstr("llama-2-7b"),
                    HasSubstr("deepseek-r1")));
}

TEST(RowFormats, SetTheBytesOfAValue) {
  EXPECT_EQ(TokenBytes("llama-3.1-8b", RowFormat::kF16), 131'072U);
  EXPECT_EQ(TokenBytes("llama-3.1-8b", RowFormat::kF32), 262'144U);
  EXPECT_EQ(TokenBytes("llama-3.1-8b", RowFormat::kFp8), 65'536U);
  EXPECT_EQ(TokenBytes("deepseek-r1", RowFormat::kFp8), 61U * 656);
  for (const char* name : {"bf16", "fp16", "f32", "fp8"}) {
    EXPECT_STREQ(RowFormatName(*ParseRowFormat(name)), name);
  }
  EXPECT_EQ(ParseRowFormat("int4").status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(RowFormats, ALatentThatHasNoFp8RowIsRefused) {
  MemoryRequest request = RequestFor("deepseek-r1", 1);
  request.model.latent_dim = 96;
  request.format = RowFormat::kFp8;
  EXPECT_THAT(Refusal(request), HasSubstr("tiles of 128 values, and this model's has 96"));
}

TEST(MemoryPlan, GqaByHand) {
  // 4096 tokens of Llama-3.1-8B: round(409.6) rows kept, a ring of 16 pages, a band of
  // floor(1638.4 / 16) pages; 666 rows are 42 blocks of 16. A digest: 8 heads x (2 x 129 + 4).
  const MemoryPlan plan = *PlanMemory(RequestFor("llama-3.1-8b", 4096));
  EXPECT_TRUE(plan.compressed);
  EXPECT_EQ(plan.kept_rows, 410);
  EXPECT_EQ(plan.ring_rows, 256);
  EXPECT_EQ(plan.band_pages, 102);
  EXPECT_EQ(plan.gpu_full_bytes, 4096U * 131'072);
  EXPECT_EQ(plan.gpu_resident_bytes, 42U * 16 * 131'072);
  EXPECT_EQ(plan.gpu_digest_bytes, 32U * 102 * 2096);
  EXPECT_EQ(plan.band_bytes, 102U * 16 * 131'072);
}

TEST(MemoryPlan, HeadsAreSplitUntilThereIsOneAGpuThenReplicated) {
  MemoryRequest request = RequestFor("llama-3.1-8b", 4096);
  const MemoryPlan one = *PlanMemory(request);
  request.tp = 8;
  const MemoryPlan eight = *PlanMemory(request);
  EXPECT_EQ(eight.kv_replicas, 1);
  EXPECT_EQ(eight.gpu_token_bytes, 16'384U);
  EXPECT_EQ(eight.gpu_compressed_bytes(), one.gpu_compressed_bytes() / 8);
  request.tp = 32;
  const MemoryPlan many = *PlanMemory(request);
  EXPECT_EQ(many.kv_replicas, 4);
  EXPECT_EQ(many.gpu_token_bytes, 16'384U) << "a GPU has one head at least";
  EXPECT_EQ(many.token_bytes, 131'072U);
  EXPECT_EQ(many.band_bytes, one.band_bytes) << "one copy, by one of the replicas";
}

TEST(MemoryPlan, TheLatentIsOnEveryGpuAndOnceInTheBand) {
  MemoryRequest request = RequestFor("deepseek-r1", 4096);
  request.tp = 8;
  const MemoryPlan plan = *PlanMemory(request);
  EXPECT_EQ(plan.kv_replicas, 8);
  EXPECT_EQ(plan.gpu_token_bytes, 70'272U);
  EXPECT_EQ(plan.gpu_full_bytes, 4096U * 70'272);
  EXPECT_EQ(plan.gpu_resident_bytes, 42U * 16 * 70'272);
  EXPECT_EQ(plan.gpu_digest_bytes, 61U * 102 * (2 * 577 + 4));
  EXPECT_EQ(plan.band_bytes, 102U * 16 * 70'272);
}

TEST(MemoryPlan, WithoutABandThereIsNoRingAndNoDigest) {
  MemoryRequest request = RequestFor("llama-3.1-8b", 4096);
  request.budget.band = 0;
  const MemoryPlan plan = *PlanMemory(request);
  EXPECT_EQ(plan.ring_rows, 0);
  EXPECT_EQ(plan.band_bytes, 0U);
  EXPECT_EQ(plan.gpu_compressed_bytes(), 26U * 16 * 131'072);
}

TEST(MemoryPlan, AShortContextStaysWhole) {
  // 4 sinks and a window of 64 are protected, whatever the budget.
  const MemoryPlan plan = *PlanMemory(RequestFor("llama-3.1-8b", 60));
  EXPECT_FALSE(plan.compressed);
  EXPECT_EQ(plan.kept_rows, 60);
  EXPECT_EQ(plan.gpu_compressed_bytes(), plan.gpu_full_bytes);
  EXPECT_EQ(plan.gpu_full_bytes, 64U * 131'072) << "whole blocks";
}

TEST(MemoryPlan, WhatCannotBeIsOneLine) {
  MemoryRequest request = RequestFor("llama-3.1-8b", 4096);
  request.tp = 3;
  EXPECT_THAT(Refusal(request), HasSubstr("tp 3 does not divide the model's 32 attention heads"));
  request = RequestFor("llama-3.2-3b", 4096);
  request.tp = 12;
  EXPECT_THAT(Refusal(request), HasSubstr("tp 12 neither divides the model's 8 key-value heads"));
  request = RequestFor("llama-3.1-8b", 4096);
  request.budget.budget = 1.5;
  EXPECT_THAT(Refusal(request), HasSubstr("(0, 1]"));
  EXPECT_THAT(Refusal(RequestFor("llama-3.1-8b", 0)), HasSubstr("1 to 134217728 tokens, not 0"));
  request = RequestFor("llama-3.1-8b", 4096);
  request.model.layers = request.model.head_dim = 1 << 16;
  EXPECT_THAT(Refusal(request), HasSubstr("more than 1 GiB"));
}

AttentionShape Parsed(const char* json) {
  const auto shape = ParseAttentionShape(json, "config.json");
  EXPECT_TRUE(shape.ok()) << shape.status();
  return shape.value_or(AttentionShape());
}

absl::Status ParseError(const char* json) {
  return ParseAttentionShape(json, "config.json").status();
}

TEST(AttentionShape, IsReadAlsoWhereTheEngineCannotRunTheModel) {
  EXPECT_EQ(Parsed(R"({"architectures": ["OtherForCausalLM"], "num_hidden_layers": 32,
                       "num_attention_heads": 32, "num_key_value_heads": 8, "hidden_size": 4096,
                       "rope_scaling": {"rope_type": "llama3"}, "quantization_config": {}})"),
            *FindAttentionShape("llama-3.1-8b"));
  EXPECT_EQ(Parsed(R"({"num_hidden_layers": 61, "num_attention_heads": 128, "hidden_size": 7168,
                       "num_key_value_heads": 128, "kv_lora_rank": 512, "qk_rope_head_dim": 64,
                       "v_head_dim": 128, "n_routed_experts": 256})"),
            *FindAttentionShape("deepseek-r1"));
}

TEST(AttentionShape, FollowsTheConventionsOfConfigFiles) {
  const AttentionShape plain = Parsed(
      R"({"num_hidden_layers": 2, "num_attention_heads": 4, "hidden_size": 64, "head_dim": null,
          "sliding_window": 4096, "use_sliding_window": false, "layer_types": ["full_attention"]})");
  EXPECT_EQ(plain.kv_heads, 4);
  EXPECT_EQ(plain.head_dim, 16);
  EXPECT_EQ(Parsed(R"({"text_config": {"num_hidden_layers": 2, "num_attention_heads": 4,
                       "num_key_value_heads": 1, "head_dim": 16}})")
                .kv_heads,
            1);
}

TEST(AttentionShape, HeadsOfNoDimensionAreRefused) {
  const absl::Status refused =
      ParseError(R"({"num_hidden_layers": 2, "num_attention_heads": 16, "hidden_size": 8})");
  EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("\"hidden_size\" is less than the heads"));
}

TEST(AttentionShape, LayersThatCacheSomethingElseAreRefused) {
  for (const char* field :
       {R"("sliding_window": 4096)", R"("layer_types": ["full_attention", "sliding_attention"])",
        R"("multi_query": true)", R"("index_topk": 2048)", R"("v_head_dim": 8)"}) {
    const std::string text = absl::StrCat(
        R"({"num_hidden_layers": 2, "num_attention_heads": 4, "hidden_size": 64, )", field, "}");
    const absl::Status refused = ParseError(text.c_str());
    EXPECT_EQ(refused.code(), absl::StatusCode::kUnimplemented) << text;
    const std::string name = std::string(field).substr(0, std::string(field).find(':'));
    EXPECT_THAT(std::string(refused.message()), HasSubstr(absl::StrCat("as ", name, " says")));
  }
}

TEST(AttentionShape, AFieldThatIsMissingOrNonsenseIsNamed) {
  EXPECT_THAT(std::string(ParseError("{}").message()),
              HasSubstr("config.json: \"num_hidden_layers\" is missing"));
  EXPECT_THAT(std::string(ParseError(R"({"num_hidden_layers": -1})").message()),
              HasSubstr("\"num_hidden_layers\" must be a whole number from 1 to 65536"));
  EXPECT_THAT(std::string(ParseError(R"({"num_hidden_layers": 65537})").message()),
              HasSubstr("\"num_hidden_layers\" must be a whole number from 1 to 65536"));
  EXPECT_THAT(std::string(ParseError(R"({"text_config": {"num_hidden_layers": 2}})").message()),
              HasSubstr("config.json: text_config: \"num_attention_heads\" is missing"));
  EXPECT_FALSE(ParseError("[").ok());
}

SizeReport Report(const std::string& model, int tp) {
  SizeReport report;
  report.model = model;
  report.request = RequestFor(model, 4096);
  report.request.tp = tp;
  report.plan = *PlanMemory(report.request);
  return report;
}

TEST(SizeReport, TheTableSetsTheBudgetBesideTheWhole) {
  SizeReport report = Report("llama-3.1-8b", 2);
  report.gpu_memory_bytes = std::uint64_t{40} << 30;
  const std::string table = SizeTable(report);
  EXPECT_THAT(table, HasSubstr("one token: 131072 bytes, on each of 2 GPUs 65536 bytes\n"));
  EXPECT_THAT(table, HasSubstr("everything kept               4096   256 MiB   512 MiB  100.0 %"));
  EXPECT_THAT(table, HasSubstr("kept rows and ring       410 + 256    42 MiB    84 MiB   16.4 %"));
  EXPECT_THAT(table, HasSubstr("sequences in 40 GiB a GPU: 160 with everything kept, 904 under"));
  EXPECT_THAT(table, HasSubstr("Weights, activations and scores are not counted."));
  EXPECT_THAT(table, Not(HasSubstr("gain nothing")));
}

TEST(SizeReport, TheTableSaysWhatIsReplicatedAndWhatGainsNothing) {
  SizeReport report = Report("deepseek-r1", 8);
  EXPECT_THAT(SizeTable(report), HasSubstr("each row is on 8 of them"));
  report.request.tokens = 60;
  report.plan = *PlanMemory(report.request);
  EXPECT_THAT(SizeTable(report), HasSubstr("a round would gain nothing: all rows stay"));
}

TEST(SizeReport, JsonHasTheFiguresAndNullForWhatWasNotAsked) {
  SizeReport report = Report("llama-3.1-8b", 1);
  const auto silent = nlohmann::json::parse(SizeJson(report));
  EXPECT_EQ(silent["token_bytes"], 131'072);
  EXPECT_EQ(silent["gpu_compressed_bytes"],
            silent["gpu_resident_bytes"].get<int>() + silent["gpu_digest_bytes"].get<int>());
  EXPECT_TRUE(silent["gpu_memory_bytes"].is_null());
  EXPECT_TRUE(silent["full_sequences"].is_null());
  report.gpu_memory_bytes = std::uint64_t{80} << 30;
  const auto asked = nlohmann::json::parse(SizeJson(report));
  EXPECT_EQ(asked["full_sequences"], 160);
  EXPECT_EQ(asked["compressed_sequences"], 904);
}

}  // namespace
}  // namespace pinboard::app
