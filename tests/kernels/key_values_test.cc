// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "kernels/key_values.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "kernels/paged_rows.h"

namespace pinboard::kernels {
namespace {

/// What a row's bytes are put together from.
class Bytes {
 public:
  template <typename T>
  Bytes& Add(T value) {
    const std::size_t end = bytes_.size();
    bytes_.resize(end + sizeof(value));
    std::memcpy(bytes_.data() + end, &value, sizeof(value));
    return *this;
  }
  const std::byte* data() const { return bytes_.data(); }
  std::size_t size() const { return bytes_.size(); }

 private:
  std::vector<std::byte> bytes_;
};

TEST(ReadValueTest, HalfPrecisionIsReadAsItIs) {
  const Bytes row = Bytes().Add<std::uint16_t>(0x3e00).Add<std::uint16_t>(0xc001);
  EXPECT_EQ(ReadValue<DType::kF16>(row.data(), 0, {}), 1.5F);
  EXPECT_EQ(ReadValue<DType::kF16>(row.data(), 1, {}), -2.001953125F);
}

TEST(ReadValueTest, E4M3IsTimesTheScaleOfItsHead) {
  const Bytes row = Bytes().Add<std::uint8_t>(0x38).Add<std::uint8_t>(0xbd);  // 1, -1.625
  const float scales[] = {3.0F, 0.1F};
  const KvShape shape{2, 2, 2, false, DType::kF8E4M3};
  const auto read = [&](const KvPlane& plane, int head, int d) {
    return ReadValue<DType::kF8E4M3>(row.data(), d, FormatOf(shape, plane, head));
  };
  EXPECT_EQ(read({.scales = scales}, 0, 0), 3.0F);
  EXPECT_EQ(read({.scales = scales}, 0, 1), -4.875F);
  EXPECT_EQ(read({.scales = scales}, 1, 1), -1.625F * 0.1F);
  EXPECT_EQ(read({}, 1, 1), -1.625F);
}

TEST(ReadValueTest, TheRowOfVllmsFp8DsMlaIsLatentThenScalesThenRotaryPart) {
  Bytes row;
  for (int d = 0; d < 512; ++d) row.Add<std::uint8_t>(d % 2 == 0 ? 0x38 : 0xb9);  // 1, -1.125
  for (const float scale : {0.5F, 2.0F, 0.25F, 1.0F / 3}) row.Add(scale);
  for (int d = 0; d < 64; ++d) row.Add<std::uint16_t>(0x3f80 + d);  // (1 + d / 128)
  const KvShape shape{1, 576, 512, true, DType::kF8DsMla};
  ASSERT_EQ(row.size(), shape.RowBytes());
  const auto read = [&](int d) {
    return ReadValue<DType::kF8DsMla>(row.data(), d, FormatOf(shape, {}, 0));
  };
  EXPECT_EQ(read(0), 0.5F);
  EXPECT_EQ(read(127), -0.5625F);
  EXPECT_EQ(read(128), 2.0F);
  EXPECT_EQ(read(383), -0.28125F);
  EXPECT_EQ(read(384), 0.333984375F);  // 1/3 in eight bits: 171 / 512
  EXPECT_EQ(read(511), -0.375F);       // exactly 0.375
  EXPECT_EQ(read(512), 1.0F);
  EXPECT_EQ(read(575), 1.4921875F);
}

TEST(CheckShapeTest, RefusesAnFp8DsMlaRowOfNoLatentInTiles) {
  EXPECT_TRUE(CheckShape("Test", {1, 576, 512, true, DType::kF8DsMla}).ok());
  for (const KvShape& shape : {KvShape{1, 576, 500, true, DType::kF8DsMla},
                               KvShape{8, 128, 128, false, DType::kF8DsMla}}) {
    EXPECT_EQ(CheckShape("Test", shape).code(), absl::StatusCode::kInvalidArgument);
  }
}

}  // namespace
}  // namespace pinboard::kernels
