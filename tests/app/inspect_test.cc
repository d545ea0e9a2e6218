// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What a service has, as it is shown.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "app/inspect/holdings.h"
#include "app/inspect/inspect_json.h"
#include "app/inspect/inspect_table.h"

namespace pinboard::app {
namespace {

using cache_service::InspectedExtent;

/// Sequence 3 of group 0xabc in two extents, sequence 12 of it, and a smaller group.
Inspection Example() {
  Inspection inspection{"127.0.0.1:7700", absl::FromUnixSeconds(1'700'000'000), {}};
  const InspectedExtent first{.group = 0xabc,
                              .sequence = 3,
                              .shard = 0,
                              .first_layer = 0,
                              .last_layer = 15,
                              .first_page = 0,
                              .last_page = 9,
                              .lowest_generation = 2,
                              .highest_generation = 3,
                              .evicted = 1,
                              .dropped = 2,
                              .pages = 30,
                              .bytes = 3 << 20,
                              .information = 30 << 25};
  InspectedExtent second = first;
  second.shard = 1;
  second.first_layer = 16;
  second.last_layer = 31;
  second.last_page = 4096;
  second.highest_generation = 5;
  second.information = 0;
  InspectedExtent empty{.group = 0xabc, .sequence = 12, .evicted = 65535};
  const InspectedExtent other{.group = 1, .sequence = 1, .pages = 1, .bytes = 1 << 10};
  inspection.holdings.Add({other, first, empty});
  inspection.holdings.Add({second});
  return inspection;
}

TEST(InspectTable, ListsSequencesUnderTheirGroupsTheLargestFirst) {
  EXPECT_EQ(InspectTable(Example()),
            "127.0.0.1:7700          layers  page numbers  shards  pages    bytes  evicted  dropped"
            "  generations  information\n"
            "group 0000000000000abc    0-31       0-4,096     0-1     60    6 MiB   65,537        4"
            "          0-5         0.50\n"
            "  sequence 3              0-31       0-4,096     0-1     60    6 MiB        2        4"
            "          2-5         0.50\n"
            "  sequence 12                0             0       0      0      0 B   65,535        0"
            "            0            -\n"
            "group 0000000000000001       0             0       0      1    1 KiB        0        0"
            "            0         0.00\n"
            "  sequence 1                 0             0       0      1    1 KiB        0        0"
            "            0         0.00\n"
            "all                       0-31       0-4,096     0-1     61  6.0 MiB   65,537        4"
            "          0-5         0.49\n");
}

TEST(InspectTable, OfAServiceThatHasNothingHasNoRanges) {
  const std::string table = InspectTable({"127.0.0.1:7700", absl::UnixEpoch(), {}});
  EXPECT_THAT(table, ::testing::ContainsRegex("\nall +- +- +- +0 +0 B +0 +0 +- +-\n$"));
}

TEST(InspectJson, IsOneLineInTheOrderOfTheTable) {
  const std::string text = InspectJson(Example());
  EXPECT_EQ(text.find('\n'), text.size() - 1);
  const auto object = nlohmann::json::parse(text);
  EXPECT_EQ(object["service"], "127.0.0.1:7700");
  EXPECT_EQ(object["unix_seconds"], 1'700'000'000.0);
  EXPECT_EQ(object["extents"], 4);
  EXPECT_EQ(object["pages"], 61);
  const auto& group = object["groups"][0];
  EXPECT_EQ(group["group"], "0000000000000abc");
  EXPECT_EQ(group["evicted"], 65537);
  const auto& sequence = group["sequences"][0];
  EXPECT_EQ(sequence["sequence"], 3);
  EXPECT_EQ(sequence["layers"], (std::vector{0, 31}));
  EXPECT_EQ(sequence["page_numbers"], (std::vector{0, 4096}));
  EXPECT_EQ(sequence["shards"], (std::vector{0, 1}));
  EXPECT_EQ(sequence["generations"], (std::vector{2, 5}));
  EXPECT_EQ(sequence["bytes"], 6 << 20);
  EXPECT_EQ(sequence["dropped"], 4);
  EXPECT_EQ(sequence["mean_information"], 0.5);
  EXPECT_TRUE(group["sequences"][1]["mean_information"].is_null());
  EXPECT_EQ(object["groups"][1]["group"], "0000000000000001");
}

TEST(InspectJson, OfAServiceThatHasNothingHasNoRanges) {
  const auto object = nlohmann::json::parse(InspectJson({"127.0.0.1:7700", absl::UnixEpoch(), {}}));
  EXPECT_TRUE(object["layers"].is_null());
  EXPECT_EQ(object["pages"], 0);
  EXPECT_TRUE(object["groups"].empty());
}

}  // namespace
}  // namespace pinboard::app
