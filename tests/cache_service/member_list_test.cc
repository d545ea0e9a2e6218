// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/membership/member_list.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pinboard::cache_service {
namespace {

using ::testing::HasSubstr;

template <typename T>
std::string ErrorOf(const absl::StatusOr<T>& result) {
  EXPECT_TRUE(absl::IsInvalidArgument(result.status())) << result.status();
  return std::string(result.status().message());
}

TEST(MemberListTest, AnAddressIsANameAndMayHaveAWeight) {
  const auto members = ParseMemberList("10.0.0.1:7700, [fd00::2]:7701=65535,localhost:9");
  ASSERT_EQ(members.status(), absl::OkStatus());
  ASSERT_EQ(members->size(), 3U);
  EXPECT_EQ((*members)[0], (Member{.name = "10.0.0.1:7700", .address = "10.0.0.1:7700"}));
  EXPECT_EQ((*members)[1],
            (Member{.name = "[fd00::2]:7701", .address = "[fd00::2]:7701", .weight = 65535}));
  EXPECT_EQ((*members)[2].name, "127.0.0.1:9");
}

TEST(MemberListTest, MistakesAreNamed) {
  EXPECT_THAT(ErrorOf(ParseMemberList("")), HasSubstr("cannot read the address"));
  EXPECT_THAT(ErrorOf(ParseMemberList("10.0.0.1:7700,")), HasSubstr("cannot read the address"));
  EXPECT_THAT(ErrorOf(ParseMemberList("node-a:7700")), HasSubstr("node-a:7700"));
  EXPECT_THAT(ErrorOf(ParseMemberList("10.0.0.1:0")), HasSubstr("no port"));
  EXPECT_THAT(ErrorOf(ParseMemberList("localhost:9,127.0.0.1:9")), HasSubstr("listed twice"));
  for (const char* weight : {"", "0", "-1", "65536", "1.5", "2x"}) {
    EXPECT_THAT(ErrorOf(ParseMember("10.0.0.1:7700=" + std::string(weight))), HasSubstr("weight"));
  }
}

TEST(MemberListTest, AFileHasALineForEachAndComments) {
  const auto members =
      ParseMemberLines("# rack 1\n10.0.0.1:7700\n\n  10.0.0.2:7700=4  # large\r\n");
  ASSERT_EQ(members.status(), absl::OkStatus());
  ASSERT_EQ(members->size(), 2U);
  EXPECT_EQ((*members)[1].name, "10.0.0.2:7700");
  EXPECT_EQ((*members)[1].weight, 4U);
  EXPECT_THAT(ErrorOf(ParseMemberLines("10.0.0.1:7700\nrubbish\n")), HasSubstr("line 2: "));
  EXPECT_THAT(ErrorOf(ParseMemberLines("# nobody\n")), HasSubstr("no member"));
}

}  // namespace
}  // namespace pinboard::cache_service
