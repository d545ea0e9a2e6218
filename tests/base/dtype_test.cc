// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "base/dtype.h"

#include <gtest/gtest.h>

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

TEST(DTypeTest, RowBytesAreThoseOfKnownModels) {
  const KvShape llama = {.kv_heads = 8, .key_dim = 128, .value_dim = 128};
  EXPECT_EQ(llama.RowBytes(), 4096U);
  const KvShape latent = {.kv_heads = 1, .key_dim = 576, .value_dim = 512, .value_in_key = true};
  EXPECT_EQ(latent.RowBytes(), 1152U);
}

}  // namespace
}  // namespace pinboard
