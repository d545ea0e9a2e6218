// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "kernels/projection_sketch/projection_sketch.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <vector>

#include "base/dtype.h"
#include "kernels/representation_shift/representation_shift.h"
#include "tests/kernels/under_test/under_test.h"
#include "tests/support/seeded_random.h"

namespace pinboard::kernels {
namespace {

std::vector<float> Sketch(const std::vector<float>& hidden, int dim, int width) {
  const int tokens = static_cast<int>(hidden.size()) / dim;
  std::vector<float> sketch(static_cast<std::size_t>(tokens) * width);
  const absl::Status status = under_test::ProjectionSketch(hidden, SketchMatrix(dim, width), tokens,
                                                           dim, width, absl::MakeSpan(sketch));
  EXPECT_TRUE(status.ok()) << status;
  return sketch;
}

std::vector<float> Shift(const std::vector<float>& a, const std::vector<float>& b, int dim) {
  std::vector<float> shift(a.size() / dim);
  EXPECT_TRUE(
      RepresentationShift(a, b, static_cast<int>(shift.size()), dim, absl::MakeSpan(shift)).ok());
  return shift;
}

TEST(ProjectionSketchTest, IsTheProductWithAMatrixOfSigns) {
  SeededRandom random;
  constexpr int kDim = 130;
  constexpr int kWidth = 7;
  const std::vector<float> matrix = SketchMatrix(kDim, kWidth);
  const std::vector<float> hidden = random.Normals(2 * kDim);
  const std::vector<float> sketch = Sketch(hidden, kDim, kWidth);
  for (int t = 0; t < 2; ++t) {
    for (int j = 0; j < kWidth; ++j) {
      double sum = 0.0;
      for (int d = 0; d < kDim; ++d) {
        EXPECT_EQ(std::abs(matrix[d * kWidth + j]), 1.0F);
        sum += matrix[d * kWidth + j] * hidden[t * kDim + d];
      }
      EXPECT_NEAR(sketch[t * kWidth + j], sum, 1e-4);
    }
  }
}

TEST(ProjectionSketchTest, HasTheBitsOfTheSpecificationInEitherElementType) {
  SeededRandom random;
  for (int trial = 0; trial < 20; ++trial) {
    const int tokens = random.Int(1, 150);
    const int dim = random.Int(1, 300);
    const int width = random.Int(1, 140);
    std::vector<float> hidden = random.Normals(std::size_t{1} * tokens * dim, 3.0F);
    if (random.OneIn(2)) {
      for (float& value : hidden) value = BFloat16ToFloat(FloatToBFloat16(value));
    }
    std::vector<float> specified(std::size_t{1} * tokens * width);
    ASSERT_TRUE(ProjectionSketch(hidden, SketchMatrix(dim, width), tokens, dim, width,
                                 absl::MakeSpan(specified))
                    .ok());
    ASSERT_EQ(Sketch(hidden, dim, width), specified) << tokens << " " << dim << " " << width;
  }
}

TEST(ProjectionSketchTest, ItsSignsAreBalancedAndItsProjectionsIndependent) {
  constexpr int kDim = 4096;
  constexpr int kWidth = 64;
  const std::vector<float> matrix = SketchMatrix(kDim, kWidth);
  for (int j = 0; j < kWidth; ++j) {
    for (int other = 0; other < kWidth; ++other) {
      double sum = 0.0;
      double product = 0.0;
      for (int d = 0; d < kDim; ++d) {
        sum += matrix[d * kWidth + j];
        product += matrix[d * kWidth + j] * matrix[d * kWidth + other];
      }
      EXPECT_LT(std::abs(sum), 5 * std::sqrt(kDim)) << j;
      if (other != j) {
        EXPECT_LT(std::abs(product), 5 * std::sqrt(kDim)) << j << " " << other;
      }
    }
  }
}

TEST(ProjectionSketchTest, KeepsTheShiftOfParallelStatesExactly) {
  SeededRandom random;
  const std::vector<float> hidden = random.Normals(256);
  std::vector<float> twice = hidden;
  for (float& value : twice) value *= 2;
  EXPECT_NEAR(Shift(Sketch(hidden, 256, 64), Sketch(twice, 256, 64), 64).front(), 0.0F, 1e-6);
}

TEST(ProjectionSketchTest, EstimatesTheShiftWithinItsBound) {
  SeededRandom random;
  constexpr int kDim = 1024;
  constexpr int kPairs = 2000;
  for (const int width : {64, 128}) {
    for (const float noise : {0.3F, 1.0F, 10.0F}) {
      const std::vector<float> first = random.Normals(std::size_t{kDim} * kPairs);
      std::vector<float> second = first;
      for (float& value : second) value += random.Normal(noise);
      const std::vector<float> exact = Shift(first, second, kDim);
      const std::vector<float> estimated =
          Shift(Sketch(first, kDim, width), Sketch(second, kDim, width), width);
      double squares = 0.0;
      double predicted = 0.0;
      double bias = 0.0;
      for (int i = 0; i < kPairs; ++i) {
        const double cosine = 1.0 - exact[i];
        const double error = estimated[i] - exact[i];
        squares += error * error / kPairs;
        bias += error / kPairs;
        predicted += std::pow((1.0 - cosine * cosine), 2) / width / kPairs;
        EXPECT_LT(std::abs(error), 6.0 / std::sqrt(width));
      }
      EXPECT_LT(std::sqrt(squares), 1.1 * std::sqrt(predicted)) << width << " " << noise;
      EXPECT_GT(std::sqrt(squares), 0.9 * std::sqrt(predicted)) << width << " " << noise;
      EXPECT_LT(std::abs(bias), 0.2 * std::sqrt(predicted)) << width << " " << noise;
    }
  }
}

TEST(ProjectionSketchTest, RefusesSizesThatDisagreeAndStatesThatAreNotFinite) {
  std::vector<float> sketch(2);
  const auto out = absl::MakeSpan(sketch);
  using under_test::ProjectionSketch;
  const std::vector<float> matrix = SketchMatrix(3, 2);
  constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
  EXPECT_EQ(ProjectionSketch({1, 2}, matrix, 1, 3, 2, out).code(), kInvalid);
  EXPECT_EQ(ProjectionSketch({1, 2, 3}, matrix, 1, 3, 1, out).code(), kInvalid);
  EXPECT_EQ(ProjectionSketch({1, 2, 3, 4}, matrix, 1, 4, 2, out).code(), kInvalid);
  EXPECT_EQ(ProjectionSketch({NAN, 2, 3}, matrix, 1, 3, 2, out).code(), kInvalid);
  EXPECT_TRUE(ProjectionSketch({}, matrix, 0, 3, 2, {}).ok());
}

}  // namespace
}  // namespace pinboard::kernels
