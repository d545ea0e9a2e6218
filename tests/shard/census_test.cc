// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The census, on which the tests of groups rely: each violation, planted alone, is named.
#include "shard/census.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <numeric>
#include <vector>

namespace pinboard {
namespace {

constexpr int kRingRows = 2 * kPageRows;

/// A sequence of 100 tokens in two layers, with 32 rows in the ring and 20 behind it, in blocks of
/// 16, where nothing is wrong.
class CensusTest : public ::testing::TestWithParam<bool> {
 protected:
  CensusTest() {
    model_.layers = 2;
    model_.layer_tables = GetParam();
    model_.cache = {{.key = {.base = &memory_[0]}}, {.key = {.base = &memory_[1]}}};
    state_.length = 100;
    state_.layers.resize(model_.layers);
    for (LayerState& layer : state_.layers) {
      layer.recall.GrowRing(kRingRows / kPageRows);
      layer.positions.resize(kRingRows + 20);
      const auto kept = layer.positions.begin() + kRingRows;
      std::iota(layer.positions.begin(), kept - kPageRows, 40);
      std::iota(kept - kPageRows, kept, 20);  // pages lie in the ring in any order
      std::iota(kept, layer.positions.end() - 10, 0);
      std::iota(layer.positions.end() - 10, layer.positions.end(), 90);
    }
    tables_.resize(GetParam() ? model_.layers : 1, {7, 0, 3, 5});
  }

  absl::Status Check() const {
    return CheckSequence(model_, state_, {tables_.begin(), tables_.end()});
  }

  void ExpectNamed(const std::string& violation) const {
    EXPECT_EQ(Check(), absl::InternalError("census: " + violation));
  }

  std::byte memory_[2] = {};
  ShardModel model_;
  SequenceState state_;
  std::vector<std::vector<std::int32_t>> tables_;
};

TEST_P(CensusTest, PassesWhereNothingIsWrong) { EXPECT_EQ(Check(), absl::OkStatus()); }

TEST_P(CensusTest, NamesARowThatIsAttendedTwice) {
  state_.layers[1].positions[kRingRows + 9] = 45;  // the ring's
  ExpectNamed("layer 1 row 41 holds position 45, which is attended twice or out of range");
}

TEST_P(CensusTest, NamesAPageThatIsInTheRingTwice) {
  std::iota(state_.layers[0].positions.begin(), state_.layers[0].positions.begin() + kPageRows, 20);
  ExpectNamed("layer 0 row 16 holds position 20, which is attended twice or out of range");
}

TEST_P(CensusTest, NamesARowOfATokenThatTheSequenceDoesNotHave) {
  state_.layers[1].positions.back() = state_.length;
  ExpectNamed("layer 1 row 51 holds position 100, which is attended twice or out of range");
}

TEST_P(CensusTest, NamesARowOfNoToken) {
  state_.layers[0].positions[kRingRows - 1] = -1;
  ExpectNamed("layer 0 row 31 holds position -1, which is attended twice or out of range");
}

TEST_P(CensusTest, NamesKeptRowsThatDoNotAscend) {
  std::swap(state_.layers[1].positions[kRingRows], state_.layers[1].positions[kRingRows + 1]);
  ExpectNamed("layer 1 row 33 is out of order");
}

TEST_P(CensusTest, NamesALayerWithRowsBehindItsLastBlock) {
  tables_.back().pop_back();
  const std::string layer = GetParam() ? "1" : "0";  // the first that has too few
  ExpectNamed("layer " + layer + " has 52 rows, but 48 slots");
}

TEST_P(CensusTest, NamesABlockThatHoldsTwoPartsOfALayer) {
  tables_.back()[3] = 0;
  ExpectNamed("layer " + std::string(GetParam() ? "1" : "0") + ": block 0 is used twice");
}

INSTANTIATE_TEST_SUITE_P(TablesOfLayers, CensusTest, ::testing::Bool());

TEST(CensusOfLayersInTheSameMemory, NamesABlockThatTwoOfThemUse) {
  std::byte memory{};
  ShardModel model;
  model.layers = 2;
  model.layer_tables = true;
  model.cache = {{.key = {.base = &memory}}, {.key = {.base = &memory}}};
  SequenceState state;
  state.layers.resize(model.layers);
  const std::vector<std::vector<std::int32_t>> tables = {{4, 2}, {1, 2}};
  EXPECT_EQ(CheckSequence(model, state, {tables.begin(), tables.end()}),
            absl::InternalError("census: layer 1: block 2 is used twice"));
}

}  // namespace
}  // namespace pinboard
