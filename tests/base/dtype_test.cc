// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "base/dtype.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

namespace pinboard {
namespace {

constexpr std::uint32_t kAllBFloat16 = 0x10000;
constexpr std::uint16_t kInfinity = 0x7f80;
constexpr std::uint16_t kSign = 0x8000;

bool IsNan(std::uint16_t bits) { return (bits & ~kSign) > kInfinity; }
float FromBits(std::uint32_t bits) { return std::bit_cast<float>(bits); }

TEST(BFloat16Test, EveryValueSurvivesTheRoundTrip) {
  for (std::uint32_t i = 0; i < kAllBFloat16; ++i) {
    const auto bits = static_cast<std::uint16_t>(i);
    if (IsNan(bits)) continue;
    ASSERT_EQ(FloatToBFloat16(BFloat16ToFloat(bits)), bits);
  }
}

TEST(BFloat16Test, EveryNanStaysNanWithItsSign) {
  for (std::uint32_t low : {0x0001U, 0x4000U, 0x8000U, 0xffffU}) {
    for (std::uint32_t high = kInfinity; high < kSign; ++high) {
      const std::uint32_t bits = (high << 16) | low;
      ASSERT_TRUE(IsNan(FloatToBFloat16(FromBits(bits)))) << std::hex << bits;
      const std::uint16_t negative = FloatToBFloat16(FromBits(bits | 0x80000000U));
      ASSERT_TRUE(IsNan(negative) && (negative & kSign) != 0) << std::hex << bits;
    }
  }
}

TEST(BFloat16Test, TiesGoToTheEvenNeighbourAndTheRestToTheNearest) {
  for (std::uint32_t high = 0; high < kInfinity; ++high) {
    const std::uint32_t base = high << 16;
    const auto up = static_cast<std::uint16_t>(high + 1);
    const auto down = static_cast<std::uint16_t>(high);
    ASSERT_EQ(FloatToBFloat16(FromBits(base | 0x7fffU)), down);
    ASSERT_EQ(FloatToBFloat16(FromBits(base | 0x8000U)), high % 2 == 0 ? down : up);
    ASSERT_EQ(FloatToBFloat16(FromBits(base | 0x8001U)), up);
    ASSERT_EQ(FloatToBFloat16(FromBits(base | 0x80008001U)), up | kSign);
  }
}

TEST(BFloat16Test, ValuesBeyondTheLargestBecomeInfinity) {
  EXPECT_EQ(FloatToBFloat16(std::numeric_limits<float>::infinity()), kInfinity);
  EXPECT_EQ(FloatToBFloat16(-std::numeric_limits<float>::infinity()), kInfinity | kSign);
  EXPECT_EQ(FloatToBFloat16(std::numeric_limits<float>::max()), kInfinity);
}

/// The value of a sign, `exponent_bits` and `fraction_bits`, by the definition of binary floats;
/// codes that stand for none are the caller's to know.
double ByDefinition(std::uint32_t bits, int exponent_bits, int fraction_bits) {
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const auto fraction = static_cast<int>(bits & ((1U << fraction_bits) - 1));
  const auto exponent = static_cast<int>(bits >> fraction_bits & ((1U << exponent_bits) - 1));
  const int whole = exponent == 0 ? 0 : 1 << fraction_bits;
  const double magnitude =
      std::ldexp(fraction + whole, std::max(exponent, 1) - bias - fraction_bits);
  return (bits >> (exponent_bits + fraction_bits) & 1U) != 0 ? -magnitude : magnitude;
}

/// What rounds a value is one of its two neighbours among codes, the nearer one, at a tie the even.
template <typename Code, typename ToFloat, typename FromFloat>
void ExpectNearest(Code largest, ToFloat to_float, FromFloat from_float) {
  for (Code code = 0; code < largest; ++code) {
    const double low = to_float(code);
    const double high = to_float(static_cast<Code>(code + 1));
    const double middle = (low + high) / 2;
    const auto even = static_cast<Code>(code % 2 == 0 ? code : code + 1);
    const auto next = static_cast<Code>(code + 1);
    const auto tie = static_cast<float>(middle);  // exact: both have few bits
    ASSERT_EQ(from_float(tie), even) << +code;
    ASSERT_EQ(from_float(std::nextafter(tie, 0.0F)), code) << +code;
    ASSERT_EQ(from_float(std::nextafter(tie, 1e9F)), next) << +code;
    ASSERT_EQ(to_float(from_float(-tie)), -to_float(even)) << +code;
  }
}

TEST(Float16Test, EveryValueIsThatOfTheDefinitionAndSurvivesTheRoundTrip) {
  for (std::uint32_t i = 0; i < 0x10000; ++i) {
    const auto bits = static_cast<std::uint16_t>(i);
    const float value = Float16ToFloat(bits);
    if ((bits & 0x7fffU) > 0x7c00U) {
      ASSERT_TRUE(std::isnan(value) && std::isnan(Float16ToFloat(FloatToFloat16(value))));
      continue;
    }
    ASSERT_EQ(FloatToFloat16(value), bits);
    if (std::isinf(value)) continue;
    ASSERT_EQ(value, ByDefinition(bits, 5, 10)) << bits;
  }
  EXPECT_EQ(Float16ToFloat(0x7c00), std::numeric_limits<float>::infinity());
  EXPECT_EQ(Float16ToFloat(0xfc00), -std::numeric_limits<float>::infinity());
}

TEST(Float16Test, RoundsToTheNearestTiesToEvenAndToInfinityBeyondTheLargest) {
  ExpectNearest<std::uint16_t>(0x7bff, Float16ToFloat, FloatToFloat16);
  EXPECT_EQ(FloatToFloat16(65519.99F), 0x7bff);
  EXPECT_EQ(FloatToFloat16(65520.0F), 0x7c00);
  EXPECT_EQ(FloatToFloat16(-std::numeric_limits<float>::max()), 0xfc00);
}

TEST(E4M3Test, EveryValueIsThatOfTheDefinitionAndSurvivesTheRoundTrip) {
  for (std::uint32_t i = 0; i < 0x100; ++i) {
    const auto bits = static_cast<std::uint8_t>(i);
    const float value = E4M3ToFloat(bits);
    if ((bits & 0x7fU) == 0x7fU) {
      ASSERT_TRUE(std::isnan(value));
    } else {
      ASSERT_EQ(value, ByDefinition(bits, 4, 3)) << i;
    }
    ASSERT_EQ(FloatToE4M3(value), bits);
  }
  EXPECT_EQ(E4M3ToFloat(0x7e), 448.0F);
}

TEST(E4M3Test, RoundsToTheNearestTiesToEvenAndCutsOffAtTheLargest) {
  ExpectNearest<std::uint8_t>(0x7e, E4M3ToFloat, FloatToE4M3);
  EXPECT_EQ(FloatToE4M3(std::numeric_limits<float>::infinity()), 0x7e);
  EXPECT_EQ(FloatToE4M3(-1e6F), 0xfe);
}

TEST(DTypeTest, RowBytesAreThoseOfKnownModels) {
  const KvShape llama = {.kv_heads = 8, .key_dim = 128, .value_dim = 128};
  EXPECT_EQ(llama.RowBytes(), 4096U);
  const KvShape latent = {.kv_heads = 1, .key_dim = 576, .value_dim = 512, .value_in_key = true};
  EXPECT_EQ(latent.RowBytes(), 1152U);
  const auto as = [](KvShape shape, DType dtype) {
    shape.dtype = dtype;
    return shape.RowBytes();
  };
  EXPECT_EQ(as(llama, DType::kF16), 4096U);
  EXPECT_EQ(as(llama, DType::kF8E4M3), 2048U);
  EXPECT_EQ(as(latent, DType::kF8E4M3), 576U);
  EXPECT_EQ(as(latent, DType::kF8DsMla), 656U);
}

TEST(KvPlaneTest, ThePlaneOfLaterHeadsBeginsAtTheirValuesAndScales) {
  std::byte values[64];
  const float scales[4] = {};
  const KvPlane plane{values, 64, 16, 4, scales};
  const KvPlane later = plane.FromHead(3);
  EXPECT_EQ(later.base, values + 12);
  EXPECT_EQ(later.scales, scales + 3);
  EXPECT_EQ(later.head_stride, 4);
  EXPECT_EQ(KvPlane{}.FromHead(3).base, nullptr);
  EXPECT_EQ(KvPlane{}.FromHead(3).scales, nullptr);
}

}  // namespace
}  // namespace pinboard
