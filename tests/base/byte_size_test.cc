// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "base/byte_size.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace pinboard {
namespace {

TEST(ByteSizeTest, ReadsWholeNumbersWithBinaryUnits) {
  EXPECT_EQ(*ParseByteSize("0"), 0U);
  EXPECT_EQ(*ParseByteSize("4096"), 4096U);
  EXPECT_EQ(*ParseByteSize("7B"), 7U);
  EXPECT_EQ(*ParseByteSize("3KiB"), 3U << 10);
  EXPECT_EQ(*ParseByteSize("512MiB"), 512U << 20);
  EXPECT_EQ(*ParseByteSize(" 2 GiB "), std::uint64_t{2} << 30);
  EXPECT_EQ(*ParseByteSize("1TiB"), std::uint64_t{1} << 40);
}

TEST(ByteSizeTest, RefusesWhatIsNoSizeAndQuotesIt) {
  for (const char* text :
       {"", " ", "MiB", "-1", "+1", "1.5GiB", "1MB", "1mib", "1 M iB", "0x10", "12KiBx"}) {
    const auto size = ParseByteSize(text);
    EXPECT_EQ(size.status().code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_TRUE(absl::StrContains(size.status().message(), absl::StrCat("'", text, "'")));
  }
}

TEST(ByteSizeTest, RefusesWhatDoesNotFit64Bits) {
  EXPECT_EQ(*ParseByteSize("18446744073709551615"), std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(*ParseByteSize("16777215TiB"), std::uint64_t{16777215} << 40);
  for (const char* text : {"18446744073709551616", "16777216TiB", "99999999999999999999999KiB"}) {
    EXPECT_EQ(ParseByteSize(text).status().code(), absl::StatusCode::kOutOfRange) << text;
  }
}

TEST(ByteSizeTest, WritesTheLargestUnitThatFits) {
  EXPECT_EQ(FormatByteSize(0), "0 B");
  EXPECT_EQ(FormatByteSize(1023), "1023 B");
  EXPECT_EQ(FormatByteSize(1024), "1 KiB");
  EXPECT_EQ(FormatByteSize(3U << 29), "1.5 GiB");
  EXPECT_EQ(FormatByteSize(512U << 20), "512 MiB");
  EXPECT_EQ(FormatByteSize(std::uint64_t{1} << 50), "1024 TiB");
}

}  // namespace
}  // namespace pinboard
