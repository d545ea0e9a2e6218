// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/system/random_options.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "scheduler/policy/policy.h"

namespace pinboard::testing {
namespace {

/// Small enough that an oracle keeps up; dimensions that every tp divides.
nlohmann::json DrawModel(SeededRandom& random) {
  const int family = random.Int(0, 5);
  nlohmann::json json = family == 4   ? engine::testing::TinyDeepseekJson()
                        : family == 5 ? engine::testing::TinyMoeJson()
                                      : engine::testing::TinyLlamaJson();
  json["vocab_size"] = 32;
  json["hidden_size"] = 32;
  json["intermediate_size"] = 32;
  json["num_hidden_layers"] = random.Int(1, 3);
  json["num_attention_heads"] = 4;
  json["num_key_value_heads"] = family < 4 ? random.Pick<int>({1, 2, 4}) : 4;
  if (family >= 4) {
    json["kv_lora_rank"] = 12;
    json["qk_nope_head_dim"] = 6;
    json["qk_rope_head_dim"] = 4;
    json["v_head_dim"] = 6;
  }
  return json;
}

}  // namespace

CheckedGroupOptions DrawGroup(SeededRandom& random) {
  CheckedGroupOptions options;
  options.model = DrawModel(random);
  options.weights_seed = static_cast<std::uint64_t>(random.Int(1, 1 << 20));
  options.tp = random.Pick<int>({1, 1, 1, 2});
  options.block_size = random.Pick<int>({16, 16, 32, 64});
  options.cache_dtype = random.OneIn(4) ? DType::kBF16 : DType::kF32;
  options.layer_tables = random.OneIn(3);
  options.cache_blocks = random.Int(600, 1600) / options.block_size;
  options.shard.top_k = random.Pick<int>({2, 8, 16});
  options.shard.sketch_dim = random.OneIn(3) ? 8 : 0;
  options.shard.observe_all_queries = random.OneIn(3);
  options.shard.wait_for_pages = random.OneIn(2);
  options.shard.fetch_deadline_ms = options.shard.wait_for_pages ? 20 : 2000;
  options.shard.max_fetch_pages_per_step = random.Pick<int>({1, 4, 4096});
  return options;
}

std::string Describe(const CheckedGroupOptions& options) {
  const nlohmann::json& model = options.model;
  return absl::StrCat(model["architectures"][0].get<std::string>(), ", layers ",
                      model["num_hidden_layers"].get<int>(), ", KV heads ",
                      model["num_key_value_heads"].get<int>(), " of 4, tp ", options.tp, ", ",
                      options.cache_blocks, " blocks of ", options.block_size,
                      options.cache_dtype == DType::kF32 ? " rows in f32" : " rows in bf16",
                      ", top_k ", options.shard.top_k, ", layer tables ", options.layer_tables,
                      ", sketch ", options.shard.sketch_dim, ", all queries ",
                      options.shard.observe_all_queries, ", waits ", options.shard.wait_for_pages,
                      ", fetches of a step at most ", options.shard.max_fetch_pages_per_step);
}

SequenceOptions DrawSequence(SeededRandom& random, const CheckedGroupOptions& group) {
  std::vector<std::string> policies = scheduler::PolicyNames();
  if (!group.shard.observe_all_queries) std::erase(policies, "h2o");
  std::erase(policies, "snapkv-heads");  // whose heads attend to different tokens
  if (!group.layer_tables) std::erase(policies, "pyramidkv");
  SequenceOptions options;
  options.policy = random.OneIn(3) ? "pinboard" : random.Pick(policies);
  options.scope = random.OneIn(4) ? "global" : "layer";
  if (options.scope == "global") {
    options.layers = "uniform";
  } else if (group.layer_tables) {
    options.layers = random.Pick<std::string>({"", "uniform", "pyramid", "adaptive"});
  }
  options.fusion = random.OneIn(2) ? "published" : "max";
  options.alpha = random.Uniform(0, 1);
  options.tau = random.Uniform(0, 2);
  options.window = random.Pick<int>({1, 4, 8, 16});
  options.seed = static_cast<std::uint64_t>(random.Int(0, 1000));
  options.align_at = random.OneIn(4);
  options.entropy_over_log_k = random.OneIn(4);
  options.budget = random.Pick<double>({0.05, 0.1, 0.2, 0.4, 0.8});
  options.budget_of_generated = random.OneIn(4);
  options.cap = random.OneIn(5) ? random.Int(1, 100) : 0;
  options.band = random.Pick<double>({0.0, 0.2, 0.4, 0.6, 1.0});
  options.near_share = random.Uniform(0, 1);
  options.recall_pages = random.Pick<int>({0, 1, 2, 4, 4, 8});
  options.recall_when =
      random.Pick<std::string>({"step", "step", "interval:3", "drift:0.9", "entropy:1.5"});
  options.recall_ahead =
      std::min(random.Pick<int>({-1, -1, 0, 1}), group.model["num_hidden_layers"].get<int>() - 1);
  options.round_every = random.Pick<int>({0, 8, 40});
  options.round_watermark = random.Pick<double>({0.0, 0.3, 0.9});
  options.prompt_tokens = random.Int(1, 250);
  return options;
}

}  // namespace pinboard::testing
