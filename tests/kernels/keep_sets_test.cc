// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The baselines' kept rows, against an independent program (eval/reference/keep_sets.py).
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numeric>
#include <string>
#include <vector>

#include "kernels/attention_score/attention_score.h"
#include "kernels/expected_attention/expected_attention.h"
#include "kernels/influence/influence.h"
#include "kernels/key_redundancy/key_redundancy.h"
#include "kernels/select/select.h"
#include "tests/kernels/paged_cache.h"

namespace pinboard::kernels {
namespace {

struct KeepSetCase {
  nlohmann::json values;
  DType dtype;
};

std::vector<KeepSetCase> LoadCases() {
  const char* root = std::getenv("PINBOARD_SOURCE_DIR");
  std::ifstream file(std::string(root != nullptr ? root : ".") + "/tests/testdata/keep_sets.json");
  const nlohmann::json all = nlohmann::json::parse(file);
  std::vector<KeepSetCase> cases;
  for (const auto& values : all.at("cases")) {
    cases.push_back({values, DType::kBF16});
    cases.push_back({values, DType::kF32});
  }
  return cases;
}

class Replay {
 public:
  explicit Replay(const KeepSetCase& c)
      : values_(c.values),
        rows_(values_.at("rows")),
        cache_({"KeepSets",
                {values_.at("kv_heads"), values_.at("key_dim"), values_.at("value_dim"),
                 values_.at("value_in_key"), c.dtype},
                16,
                CacheLayout::kNhd},
               rows_, random_),
        positions_(static_cast<std::size_t>(rows_)) {
    std::iota(positions_.begin(), positions_.end(), 0);
    const auto denominator = values_.at("denominator").get<float>();
    const std::vector<float> keys = values_.at("keys");
    const KvShape& shape = cache_.shape();
    for (int i = 0; i < static_cast<int>(keys.size()); ++i) {
      const int row = i / (shape.kv_heads * shape.key_dim);
      cache_.SetKey(row, i / shape.key_dim % shape.kv_heads, i % shape.key_dim,
                    keys[i] / denominator);
    }
    const std::vector<float> values = values_.at("values");
    for (int i = 0; i < static_cast<int>(values.size()); ++i) {
      const int row = i / (shape.kv_heads * shape.value_dim);
      cache_.SetValue(row, i / shape.value_dim % shape.kv_heads, i % shape.value_dim,
                      values[i] / denominator);
    }
    queries_ = values_.at("queries").get<std::vector<float>>();
    for (float& value : queries_) value /= denominator;
  }

  std::vector<int> Kept(ScoreRule rule, int window, int pool) {
    const int heads = values_.at("query_heads");
    const std::size_t width = static_cast<std::size_t>(heads) * cache_.shape().key_dim;
    std::vector<std::int32_t> attention(positions_.size());
    EXPECT_TRUE(
        AttentionScore(
            {cache_.view(), cache_.shape(), cache_.block_size(), cache_.block_table(), positions_,
             0, positions_, absl::MakeConstSpan(queries_).last(window * width),
             absl::MakeConstSpan(positions_).last(window), heads, heads, values_.at("scale"), pool},
            absl::MakeSpan(attention))
            .ok());
    std::vector<std::int64_t> score(positions_.size());
    FuseArgs fuse{rule, 0.9, values_.at("random_seed"), values_.at("random_layer")};
    fuse.attention = attention;
    std::vector<std::int32_t> redundancy;
    if (rule == ScoreRule::kDistinct) {
      fuse.alpha = 0.07;
      redundancy = Redundancy();
      fuse.redundancy = redundancy;
    }
    fuse.positions = positions_;
    EXPECT_TRUE(Fuse(fuse, absl::MakeSpan(score)).ok());
    return Selected(score);
  }

  std::vector<int> KeptAsExpected() {
    const int heads = values_.at("query_heads");
    const std::size_t width = static_cast<std::size_t>(heads) * cache_.shape().key_dim;
    const RotaryShape rotary{values_.at("rotary_first"), values_.at("rotary_interleaved"),
                             values_.at("frequencies")};
    std::vector<std::int32_t> attention(positions_.size());
    const absl::Status status =
        ExpectedAttention({cache_.view(), cache_.shape(), cache_.block_size(), cache_.block_table(),
                           positions_, absl::MakeConstSpan(queries_).last(window() * width),
                           absl::MakeConstSpan(positions_).last(window()), heads, heads,
                           values_.at("scale"), rotary, rows_},
                          absl::MakeSpan(attention));
    EXPECT_TRUE(status.ok()) << status;
    return Selected({attention.begin(), attention.end()});
  }

  int rows() const { return rows_; }
  int window() const { return values_.at("window"); }
  int pool() const { return values_.at("pool"); }
  std::vector<int> Expected(const char* policy) const { return values_.at("kept").at(policy); }

 private:
  std::vector<std::int32_t> Redundancy() const {
    std::vector<std::int32_t> redundancy(positions_.size());
    EXPECT_TRUE(KeyRedundancy({cache_.view(), cache_.shape(), cache_.block_size(),
                               cache_.block_table(), positions_, cache_.shape().kv_heads},
                              absl::MakeSpan(redundancy))
                    .ok());
    return redundancy;
  }

  std::vector<int> Selected(const std::vector<std::int64_t>& score) const {
    std::vector<std::uint8_t> is_protected(score.size(), 0);
    for (int r = 0; r < rows_; ++r) {
      is_protected[r] = r < values_.at("sinks").get<int>() || r >= rows_ - window() ? 1 : 0;
    }
    std::vector<RowClass> classes(score.size());
    EXPECT_TRUE(
        Select({score, score, is_protected, values_.at("keep"), 0, 0}, absl::MakeSpan(classes))
            .ok());
    std::vector<int> kept;
    for (int r = 0; r < rows_; ++r) {
      if (classes[r] == RowClass::kKept) kept.push_back(r);
    }
    return kept;
  }

  const nlohmann::json& values_;
  int rows_;
  SeededRandom random_;
  PagedCache cache_;
  std::vector<std::int32_t> positions_;
  std::vector<float> queries_;
};

class KeepSetsTest : public testing::TestWithParam<KeepSetCase> {};

INSTANTIATE_TEST_SUITE_P(Cases, KeepSetsTest, testing::ValuesIn(LoadCases()), [](const auto& info) {
  return info.param.values.at("name").template get<std::string>() +
         (info.param.dtype == DType::kF32 ? "F32" : "BF16");
});

TEST_P(KeepSetsTest, SnapkvKeepsTheRowsOfTheIndependentProgram) {
  Replay replay(GetParam());
  EXPECT_EQ(replay.Kept(ScoreRule::kAttention, replay.window(), replay.pool()),
            replay.Expected("snapkv"));
}

TEST_P(KeepSetsTest, H2oKeepsTheRowsOfTheIndependentProgram) {
  Replay replay(GetParam());
  EXPECT_EQ(replay.Kept(ScoreRule::kAttention, replay.rows(), 1), replay.Expected("h2o"));
}

TEST_P(KeepSetsTest, TovaKeepsTheRowsOfTheIndependentProgram) {
  Replay replay(GetParam());
  EXPECT_EQ(replay.Kept(ScoreRule::kAttention, 1, 1), replay.Expected("tova"));
}

TEST_P(KeepSetsTest, RpcKeepsTheRowsOfTheIndependentProgram) {
  Replay replay(GetParam());
  EXPECT_EQ(replay.Kept(ScoreRule::kAttention, 32, 7), replay.Expected("rpc"));
}

TEST_P(KeepSetsTest, RkvKeepsTheRowsOfTheIndependentProgram) {
  Replay replay(GetParam());
  EXPECT_EQ(replay.Kept(ScoreRule::kDistinct, 8, 1), replay.Expected("rkv"));
}

TEST_P(KeepSetsTest, ExpectedAttentionKeepsTheRowsOfTheIndependentProgram) {
  Replay replay(GetParam());
  EXPECT_EQ(replay.KeptAsExpected(), replay.Expected("expected-attention"));
}

TEST_P(KeepSetsTest, RandomKeepsTheRowsOfTheIndependentProgram) {
  Replay replay(GetParam());
  EXPECT_EQ(replay.Kept(ScoreRule::kRandom, replay.window(), replay.pool()),
            replay.Expected("random"));
}

}  // namespace
}  // namespace pinboard::kernels
