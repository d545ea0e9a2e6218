// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What a service counted, as it is shown.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>

#include "absl/strings/str_split.h"
#include "app/stat/service_sample.h"
#include "app/stat/stat_json.h"
#include "app/stat/stat_table.h"
#include "cache_service/server/service_metrics.h"

namespace pinboard::app {
namespace {

using ::testing::Optional;

/// 6 of 16 MiB used; after `seconds` of 10 hits, 4 evicted pages missed and 8 KiB fetched a second.
ServiceSample SampleAfter(std::uint64_t seconds) {
  cache_service::ServiceCounts counts;
  counts.arena_bytes = 16 << 20;
  counts.inventory.used_bytes = 6 << 20;
  counts.inventory.assigned_bytes = 8 << 20;
  counts.inventory.published_pages = 1500;
  counts.clients = 3;
  counts.replication.peers_up = 2;
  counts.pages_fetched_total = 100 + 10 * seconds;
  counts.bytes_fetched_total = 8192 * seconds;
  counts.misses_total[static_cast<int>(cache_service::MissCause::kEvicted)] = 4 * seconds;
  return {"127.0.0.1:7700", absl::FromUnixSeconds(1'700'000'000 + seconds),
          cache_service::DescribeCounts(counts, cache_service::CountScope::kService)};
}

TEST(ServiceSample, ARateIsTheGrowthOverTheTimeBetween) {
  const ServiceSample first = SampleAfter(0);
  const ServiceSample second = SampleAfter(4);
  const std::string hits = "pinboard_service_pages_fetched_total";
  EXPECT_THAT(RateOf(&first, second, hits), Optional(10.0));
  EXPECT_EQ(RateOf(nullptr, second, hits), std::nullopt);
  EXPECT_EQ(RateOf(&second, second, hits), std::nullopt) << "no time between";
  EXPECT_EQ(RateOf(&first, second, "pinboard_service_other_total"), std::nullopt);
}

TEST(StatTable, KnowsEveryCountOfTheService) {
  const ServiceSample first = SampleAfter(0);
  const ServiceSample second = SampleAfter(1);
  const std::string table = StatTable(&first, second);
  for (const std::string& line : std::vector<std::string>(absl::StrSplit(table, '\n'))) {
    EXPECT_THAT(line, Not(::testing::EndsWith(" -"))) << "the service names it differently";
  }
  // Beside the counts: the free memory, and three lines of titles.
  EXPECT_EQ(std::count(table.begin(), table.end(), '\n'), std::ssize(second.entries) + 4) << table;
}

TEST(StatTable, SetsTotalsBesideTheirGrowth) {
  const ServiceSample first = SampleAfter(0);
  const std::string table = StatTable(&first, SampleAfter(2));
  EXPECT_THAT(table, ::testing::ContainsRegex("arena +16 MiB"));
  EXPECT_THAT(table, ::testing::ContainsRegex("  used +6 MiB +37.5 %"));
  EXPECT_THAT(table, ::testing::ContainsRegex("  free +10 MiB +62.5 %"));
  EXPECT_THAT(table, ::testing::ContainsRegex("for one page size only +2 MiB +12.5 %"));
  EXPECT_THAT(table, ::testing::ContainsRegex("hits +120 +10.0\n  bytes +16 KiB +8 KiB"));
  EXPECT_THAT(table, ::testing::ContainsRegex("  evicted +8 +4.0"));
}

TEST(StatTable, SaysNothingOfCopiesWhereThereIsNobodyElse) {
  cache_service::ServiceCounts alone;
  const std::string table = StatTable(
      nullptr, {"127.0.0.1:7700", absl::UnixEpoch(),
                cache_service::DescribeCounts(alone, cache_service::CountScope::kService)});
  EXPECT_THAT(table, Not(::testing::HasSubstr("members")));
  EXPECT_THAT(table, Not(::testing::HasSubstr("copies")));
}

TEST(StatTable, ShowsADashForWhatIsNotKnown) {
  const ServiceSample only{"127.0.0.1:7700", absl::UnixEpoch(), {{"pinboard_service_pages", 7}}};
  const std::string table = StatTable(nullptr, only);
  EXPECT_THAT(table, ::testing::ContainsRegex("pages +7\n"));
  EXPECT_THAT(table, ::testing::ContainsRegex("hits +- +-\n"));
  EXPECT_THAT(table, ::testing::ContainsRegex("  free +- +-\n"));
}

TEST(StatJson, IsOneLineWithTheNamesOfTheMetrics) {
  const ServiceSample first = SampleAfter(0);
  const std::string text = StatJson(&first, SampleAfter(2));
  EXPECT_EQ(text.find('\n'), text.size() - 1);
  const auto object = nlohmann::json::parse(text);
  EXPECT_EQ(object["service"], "127.0.0.1:7700");
  EXPECT_EQ(object["unix_seconds"], 1'700'000'002.0);
  EXPECT_EQ(object["arena_bytes"], 16 << 20);
  EXPECT_EQ(object["clients"], 3);
  EXPECT_EQ(object["slabs"]["quarantined"], 0);
  EXPECT_EQ(object["misses_total"]["evicted"], 8);
  EXPECT_EQ(object["per_second"]["misses_total"]["evicted"], 4.0);
  EXPECT_EQ(object["per_second"]["pages_fetched_total"], 10.0);
  EXPECT_FALSE(object["per_second"].contains("pages")) << "a gauge does not grow";
}

TEST(StatJson, HasNoRatesWithoutAnEarlierSample) {
  EXPECT_TRUE(nlohmann::json::parse(StatJson(nullptr, SampleAfter(0)))["per_second"].is_null());
}

}  // namespace
}  // namespace pinboard::app
