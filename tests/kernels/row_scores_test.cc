// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "kernels/row_scores.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "kernels/portable_math.h"
#include "tests/support/seeded_random.h"

namespace pinboard::kernels {
namespace {

// The clones for wide registers must not differ from plain arithmetic by a single bit: ranks on
// different machines would select different rows.
TEST(RowScoresTest, ProductsEqualPlainSumsInOrderBitForBit) {
  SeededRandom random;
  for (const int count : {1, 2, 3, 4, 5, 8, 31}) {
    for (const int dim : {1, 7, 32, 576}) {
      const auto queries = random.Normals(static_cast<std::size_t>(count) * dim);
      const auto tile = random.Normals(static_cast<std::size_t>(dim) * kTileRows);
      constexpr std::int64_t kStride = 2 * kTileRows;
      std::vector<float> scores(static_cast<std::size_t>(count * kStride), -1.0F);
      TileScores(queries.data(), count, dim, tile.data(), 0.37F, scores.data(), kStride);
      for (int i = 0; i < count; ++i) {
        for (int t = 0; t < kTileRows; ++t) {
          float sum = 0.0F;
          for (int d = 0; d < dim; ++d) sum += queries[i * dim + d] * tile[d * kTileRows + t];
          ASSERT_EQ(scores[i * kStride + t], 0.37F * sum) << count << ' ' << dim;
        }
        ASSERT_EQ(scores[i * kStride + kTileRows], -1.0F) << "wrote beyond the tile";
      }
    }
  }
}

TEST(RowScoresTest, SoftmaxPiecesEqualPlainArithmetic) {
  SeededRandom random;
  std::vector<float> scores = random.Normals(5 * kTileRows, 4.0F);
  const float max = *std::max_element(scores.begin(), scores.end());
  const auto rows = static_cast<std::int64_t>(scores.size());
  EXPECT_EQ(MaxScore(scores.data(), rows), max);

  std::vector<float> exps = scores;
  const double sum = ExpAndSum(exps.data(), rows, max);
  double lanes[16] = {};
  for (std::size_t r = 0; r < scores.size(); ++r) {
    ASSERT_EQ(exps[r], ExpOfNonPositive(scores[r] - max));
    lanes[r % 16] += static_cast<double>(exps[r]);
  }
  double expected = 0.0;
  for (const double lane : lanes) expected += lane;
  EXPECT_EQ(sum, expected);

  std::vector<double> shares(scores.size(), 0.25);
  AddWeighted(exps.data(), rows, 0.3, shares.data());
  for (std::size_t r = 0; r < scores.size(); ++r) {
    ASSERT_EQ(shares[r], 0.25 + 0.3 * static_cast<double>(exps[r]));
  }
}

}  // namespace
}  // namespace pinboard::kernels
