// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "kernels/representation_shift/representation_shift.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "tests/kernels/checks/representation_shift_checks.h"
#include "tests/kernels/under_test/under_test.h"

namespace pinboard::kernels {
namespace {

TEST(RepresentationShiftTest, EqualsTheWorkedExamples) {
  // Parallel, orthogonal, opposite, at 60 degrees, and against zero.
  const std::vector<float> hidden = {1, 2, 2, 0, 3, 4, 1, 0, 5, 5};
  const std::vector<float> final = {2, 4, 0, 7, -6, -8, 0.5F, std::sqrt(0.75F), 0, 0};
  std::vector<float> shift(5);
  ASSERT_TRUE(under_test::RepresentationShift(hidden, final, 5, 2, absl::MakeSpan(shift)).ok());
  EXPECT_NEAR(shift[0], 0.0, 1e-7);
  EXPECT_EQ(shift[1], 1.0F);
  EXPECT_NEAR(shift[2], 2.0, 1e-7);
  EXPECT_NEAR(shift[3], 0.5, 1e-7);
  EXPECT_EQ(shift[4], 1.0F);
}

TEST(RepresentationShiftTest, OfSeveralLayersIsThatOfEach) {
  SeededRandom random;
  constexpr int kLayers = 5;
  constexpr int kTokens = 3;
  constexpr int kDim = 70;
  const std::vector<float> hidden = random.Normals(kLayers * kTokens * kDim);
  const std::vector<float> final = random.Normals(kTokens * kDim);
  std::vector<float> all(kLayers * kTokens);
  ASSERT_TRUE(
      under_test::RepresentationShift(hidden, final, kTokens, kDim, absl::MakeSpan(all)).ok());
  for (int layer = 0; layer < kLayers; ++layer) {
    std::vector<float> of_layer(kTokens);
    ASSERT_TRUE(under_test::RepresentationShift(
                    absl::MakeConstSpan(hidden).subspan(layer * kTokens * kDim, kTokens * kDim),
                    final, kTokens, kDim, absl::MakeSpan(of_layer))
                    .ok());
    for (int token = 0; token < kTokens; ++token) {
      EXPECT_EQ(all[layer * kTokens + token], of_layer[token]) << "layer " << layer;
    }
  }
}

TEST(RepresentationShiftTest, EqualsTheFormulaForEveryDimensionAndStaysInRange) {
  SeededRandom random;
  std::vector<int> dims = {1024, 2051, 7168};
  for (int dim = 1; dim < 70; ++dim) dims.push_back(dim);
  for (const int dim : dims) {
    for (const bool bf16 : {false, true}) {
      checks::ExpectCosineDistance(under_test::RepresentationShift, dim, bf16, random);
      if (HasFatalFailure()) return;
    }
  }
}

TEST(RepresentationShiftTest, HandlesStatesWhoseSquaresLeaveFloat) {
  std::vector<float> shift(1);
  ASSERT_TRUE(
      under_test::RepresentationShift({1e30F, 0}, {1e30F, 1e30F}, 1, 2, absl::MakeSpan(shift))
          .ok());
  EXPECT_NEAR(shift[0], 1 - std::sqrt(0.5), 1e-6);
  ASSERT_TRUE(
      under_test::RepresentationShift({1e-30F, 0}, {1e-30F, 1e-30F}, 1, 2, absl::MakeSpan(shift))
          .ok());
  EXPECT_NEAR(shift[0], 1 - std::sqrt(0.5), 1e-6);
}

TEST(RepresentationShiftTest, RefusesSizesThatDisagreeAndStatesThatAreNotFinite) {
  std::vector<float> shift(1);
  const auto out = absl::MakeSpan(shift);
  constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
  EXPECT_EQ(under_test::RepresentationShift({1, 2}, {1, 2}, 1, 3, out).code(), kInvalid);
  EXPECT_EQ(under_test::RepresentationShift({1, 2}, {1}, 1, 2, out).code(), kInvalid);
  EXPECT_EQ(under_test::RepresentationShift({1, 2}, {1, 2}, 2, 1, out).code(), kInvalid);
  EXPECT_EQ(under_test::RepresentationShift({}, {}, 1, 0, out).code(), kInvalid);
  EXPECT_EQ(under_test::RepresentationShift({NAN, 2}, {1, 2}, 1, 2, out).code(), kInvalid);
  EXPECT_TRUE(under_test::RepresentationShift({}, {}, 0, 3, {}).ok());
}

}  // namespace
}  // namespace pinboard::kernels
