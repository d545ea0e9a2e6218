// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Products on the device against plain loops in double.
#include "engine/cuda/product.cuh"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/kernels/bfloat16s.h"
#include "tests/kernels/on_device.cuh"
#include "tests/support/seeded_random.h"

namespace pinboard::engine {
namespace {

using kernels::OnDevice;
using kernels::ToBFloat16s;

/// Random operands that bf16 holds, with room for every stride of a shape.
struct Operands {
  Operands(const ProductShape& s, SeededRandom& random) {
    const int weight_rows = s.transposed ? s.columns : s.inner;
    Fill(&in, (s.batch - 1) * s.in_batch_stride + std::int64_t{s.rows} * s.in_stride, random);
    Fill(&weight,
         (s.batch - 1) * s.weight_batch_stride + std::int64_t{weight_rows} * s.weight_stride,
         random);
    Fill(&out, (s.batch - 1) * s.out_batch_stride + std::int64_t{s.rows} * s.out_stride, random);
  }
  static void Fill(std::vector<float>* values, std::int64_t count, SeededRandom& random) {
    *values = random.Normals(static_cast<std::size_t>(count));
    for (float& value : *values) value = BFloat16ToFloat(FloatToBFloat16(value));
  }

  /// What `out` becomes.
  std::vector<float> Expected(const ProductShape& s) const {
    std::vector<float> expected = out;
    for (int b = 0; b < s.batch; ++b) {
      for (int row = 0; row < s.rows; ++row) {
        for (int column = 0; column < s.columns; ++column) {
          float& target =
              expected[b * s.out_batch_stride + std::int64_t{row} * s.out_stride + column];
          double sum = s.accumulate ? target : 0.0;
          for (int i = 0; i < s.inner; ++i) {
            const std::int64_t at = s.transposed ? std::int64_t{column} * s.weight_stride + i
                                                 : std::int64_t{i} * s.weight_stride + column;
            sum += static_cast<double>(
                       in[b * s.in_batch_stride + std::int64_t{row} * s.in_stride + i]) *
                   weight[b * s.weight_batch_stride + at];
          }
          target = static_cast<float>(sum);
        }
      }
    }
    return expected;
  }

  std::vector<float> in, weight, out;
};

class ProductCudaTest : public ::testing::Test {
 protected:
  void ExpectAsInLoops(const ProductShape& shape) {
    Operands operands(shape, random_);
    const std::vector<float> expected = operands.Expected(shape);
    const double tolerance = 1e-5 * shape.inner;
    auto* const in = device_.In(ToBFloat16s(operands.in));
    auto* const weight = device_.In(ToBFloat16s(operands.weight));
    auto* const out = device_.In(operands.out);
    for (int again = 0; again < (shape.accumulate ? 1 : 2); ++again) {
      const absl::Status status = device_.Finish(products_.Multiply(shape, in, weight, out));
      ASSERT_TRUE(status.ok()) << status;
      std::vector<float> made(expected.size());
      device_.Read(out, absl::MakeSpan(made));
      for (std::size_t i = 0; i < made.size(); ++i) ASSERT_NEAR(made[i], expected[i], tolerance);
    }
    if (shape.accumulate) return;
    auto* const rounded = device_.In(ToBFloat16s(operands.out));
    const absl::Status status = device_.Finish(products_.Multiply(shape, in, weight, rounded));
    ASSERT_TRUE(status.ok()) << status;
    std::vector<std::uint16_t> bits(expected.size());
    device_.Read(rounded, absl::MakeSpan(bits));
    for (std::size_t i = 0; i < bits.size(); ++i) {
      ASSERT_NEAR(BFloat16ToFloat(bits[i]), expected[i], tolerance + std::abs(expected[i]) / 256);
    }
  }

  SeededRandom random_;
  OnDevice device_;
  Products products_ = *Products::Create(nullptr);
};

ProductShape Dense(int rows, int columns, int inner) {
  return {.rows = rows,
          .columns = columns,
          .inner = inner,
          .in_stride = inner,
          .weight_stride = inner,
          .out_stride = columns};
}

TEST_F(ProductCudaTest, AreThoseOfPlainLoopsForAnySize) {
  for (const int rows : {1, 2, 17, 130}) {
    ExpectAsInLoops(Dense(rows, 64, 64));
    ExpectAsInLoops(Dense(rows, 256, 768));
    ExpectAsInLoops(Dense(rows, 24, 12));
    ExpectAsInLoops(Dense(rows, 33, 20));
  }
  for (const int rows : {1, 5, 300}) ExpectAsInLoops(Dense(rows, 128, 256));
}

TEST_F(ProductCudaTest, AreAddedToWhatIsThere) {
  ProductShape shape = Dense(19, 64, 96);
  shape.accumulate = true;
  ExpectAsInLoops(shape);
}

/// MLA's products of heads, DeepSeek-V3's shape and a small one.
TEST_F(ProductCudaTest, OfHeadsLeaveWhatLiesBetweenAlone) {
  struct Heads {
    int heads, nope, latent, rope, value;
  };
  for (const Heads& h : {Heads{4, 128, 512, 64, 128}, Heads{8, 12, 24, 8, 10}}) {
    for (const int tokens : {1, 21}) {
      ExpectAsInLoops({.rows = tokens,
                       .columns = h.latent,
                       .inner = h.nope,
                       .transposed = false,
                       .in_stride = h.heads * h.nope,
                       .weight_stride = h.latent,
                       .out_stride = h.heads * (h.latent + h.rope),
                       .batch = h.heads,
                       .in_batch_stride = h.nope,
                       .weight_batch_stride = std::int64_t{h.nope} * h.latent,
                       .out_batch_stride = h.latent + h.rope});
      ExpectAsInLoops({.rows = tokens,
                       .columns = h.value,
                       .inner = h.latent,
                       .in_stride = h.heads * h.latent,
                       .weight_stride = h.latent,
                       .out_stride = h.heads * h.value,
                       .batch = h.heads,
                       .in_batch_stride = h.latent,
                       .weight_batch_stride = std::int64_t{h.value} * h.latent,
                       .out_batch_stride = h.value});
    }
  }
}

}  // namespace
}  // namespace pinboard::engine
