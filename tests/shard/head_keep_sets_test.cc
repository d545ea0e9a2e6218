// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The rows that each KV head keeps, against an independent program (eval/reference/keep_sets.py).
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numeric>
#include <string>
#include <vector>

#include "shard/round_plan.h"
#include "tests/kernels/paged_cache.h"
#include "transport/collective/local/local_communicator.h"

namespace pinboard {
namespace {

nlohmann::json LoadCase(const std::string& name) {
  const char* root = std::getenv("PINBOARD_SOURCE_DIR");
  std::ifstream file(std::string(root != nullptr ? root : ".") + "/tests/testdata/keep_sets.json");
  const nlohmann::json all = nlohmann::json::parse(file);
  for (const nlohmann::json& one : all.at("cases")) {
    if (one.at("name") == name) return one;
  }
  return {};
}

std::vector<float> Real(const nlohmann::json& values, const char* name) {
  std::vector<float> real = values.at(name);
  for (float& value : real) value /= values.at("denominator").get<float>();
  return real;
}

class HeadKeepSets : public testing::TestWithParam<std::string> {};

INSTANTIATE_TEST_SUITE_P(Cases, HeadKeepSets, testing::Values("gqa", "mla"),
                         [](const auto& info) { return info.param; });

TEST_P(HeadKeepSets, EachHeadKeepsTheRowsOfTheIndependentProgram) {
  const nlohmann::json values = LoadCase(GetParam());
  const int rows = values.at("rows");
  const int window = values.at("window");
  const KvShape shape{values.at("kv_heads"), values.at("key_dim"), values.at("value_dim"),
                      values.at("value_in_key"), DType::kBF16};
  SeededRandom random;
  kernels::PagedCache cache({"Heads", shape, 16, kernels::CacheLayout::kNhd}, rows, random);
  const std::vector<float> keys = Real(values, "keys");
  for (int i = 0; i < static_cast<int>(keys.size()); ++i) {
    cache.SetKey(i / (shape.kv_heads * shape.key_dim), i / shape.key_dim % shape.kv_heads,
                 i % shape.key_dim, keys[i]);
  }

  transport::LocalGroup group(1);
  const auto communicator = group.Join(0);
  ShardContext context;
  context.operations = MakeHostOperations();
  context.communicator = communicator.get();
  ShardModel& model = context.options.model;
  model.layers = 1;
  model.query_heads = model.total_query_heads = values.at("query_heads");
  model.kv = shape;
  model.attention_scale = values.at("scale");
  model.block_size = cache.block_size();
  model.cache = {cache.view()};

  SequenceState& state = context.sequences[1];
  scheduler::MethodOptions method;
  method.window = window;
  method.sinks = values.at("sinks");
  state.policy = *scheduler::MakePolicy("snapkv-heads", method);
  state.budget = {.offload = false, .cap = values.at("keep")};
  state.length = rows;
  state.entropy_after.assign(rows + 1, 0.0F);
  state.layers.resize(1);
  LayerState& layer = state.layers[0];
  layer.positions.resize(rows);
  std::iota(layer.positions.begin(), layer.positions.end(), 0);
  layer.information.assign(rows, 0);
  layer.pending_shift.assign(rows, 0.0F);
  layer.queries =
      QueryWindow(context.operations->memory(), window, model.query_heads * shape.key_dim);
  const std::vector<float> queries = Real(values, "queries");
  const auto room = layer.queries.Extend(
      static_cast<std::int64_t>(queries.size()) / layer.queries.width(), /*first_position=*/0);
  ASSERT_TRUE(room.ok());
  std::copy(queries.end() - room->size(), queries.end(), room->begin());

  const std::vector<std::int32_t> table = cache.block_table();
  const Shard::RoundEntry entry{1, {table}};
  const auto round = PlanRound(context, 1, {&entry, 1});
  ASSERT_TRUE(round.ok()) << round.status();
  EXPECT_EQ(round->sequences[0].layers[0].head_rows,
            values.at("kept").at("snapkv-heads").get<std::vector<std::vector<std::int32_t>>>());
}

}  // namespace
}  // namespace pinboard
