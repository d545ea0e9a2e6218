// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What `pinboard top` shows of services, without a terminal.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "absl/strings/str_split.h"
#include "app/top/request_quantile.h"
#include "app/top/top_screen.h"
#include "base/metrics.h"
#include "cache_service/server/service_metrics.h"

namespace pinboard::app {
namespace {

using cache_service::MessageType;
using cache_service::MissCause;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

/// A service that is asked for 30 pages it has and 10 it evicted a second.
ServiceSample SampleAfter(std::uint64_t seconds) {
  cache_service::ServiceCounts counts;
  counts.arena_bytes = 64 << 20;
  counts.inventory.used_bytes = 16 << 20;
  counts.inventory.published_pages = 1024;
  counts.inventory.leases_total = 7 * seconds;
  counts.clients = 3;
  counts.pages_fetched_total = 30 * seconds;
  counts.bytes_fetched_total = 2048 * seconds;
  counts.misses_total[static_cast<int>(MissCause::kEvicted)] = 10 * seconds;
  return {"127.0.0.1:7700", absl::FromUnixSeconds(1'700'000'000 + seconds),
          cache_service::DescribeCounts(counts, cache_service::CountScope::kService)};
}

ServiceView Busy() { return {"127.0.0.1:7700", SampleAfter(2), SampleAfter(4), ""}; }

std::string Screen(const std::vector<ServiceView>& views, int columns = 0, int rows = 0) {
  return TopScreen(absl::UnixEpoch() + absl::Hours(1), views, columns, rows);
}

TEST(TopScreen, ShowsWhatAServiceDoesASecond) {
  const std::string screen = Screen({Busy()});
  EXPECT_THAT(screen, HasSubstr("pinboard top   01:00:00 UTC\n"));
  EXPECT_THAT(screen,
              HasSubstr("[#######.......................] 25.0 %   16 MiB of 64 MiB, 1024"));
  EXPECT_THAT(screen, HasSubstr("  get      30 hits/s, 2 KiB/s, 75.0 % hit   misses/s: 0 unknown, "
                                "10 evicted, 0 dropped, 0 generation\n"));
  EXPECT_THAT(screen, HasSubstr(" 7 leased/s, 0 refused/s, 0 stale/s\n"));
  EXPECT_THAT(screen, HasSubstr("evictions/s: 0 same_size, 0 other_size, 0 watermark, 0 expired"));
}

TEST(TopScreen, ShowsMembersWhereThereAreOthers) {
  EXPECT_THAT(Screen({Busy()}), Not(HasSubstr("members")));
  cache_service::ServiceCounts counts;
  counts.replication.peers_up = 2;
  counts.replication.offers_waiting = 5;
  ServiceView view = Busy();
  view.before = {"s", absl::UnixEpoch(),
                 DescribeCounts(counts, cache_service::CountScope::kService)};
  counts.replication.pulls_total[static_cast<int>(cache_service::PullEnd::kHit)] = 30;
  view.now = {"s", absl::UnixEpoch() + absl::Seconds(10),
              DescribeCounts(counts, cache_service::CountScope::kService)};
  EXPECT_THAT(Screen({view}),
              HasSubstr("  members  2 up, 0 down, 5 pages to be copied   0 copied/s   "
                        "pulls/s: 3 hit, 0 miss, 0 no_room"));
}

TEST(TopScreen, TheFirstLookHasNoRates) {
  ServiceView view = Busy();
  view.before.reset();
  EXPECT_THAT(Screen({view}), AllOf(HasSubstr(" 25.0 %"), HasSubstr("  get      - hits/s, -/s")));
}

TEST(TopScreen, AServiceThatIsGoneIsALineAmongTheOthers) {
  const std::string screen = Screen({{"10.0.0.5:7700", {}, {}, "nobody listens"}, Busy(), {"h:1"}});
  EXPECT_THAT(screen, HasSubstr("\n10.0.0.5:7700   gone: nobody listens\n127.0.0.1:7700   3 "));
  EXPECT_THAT(screen, HasSubstr("\nh:1   connecting\n"));
}

TEST(TopScreen, StaysWithinTheTerminal) {
  const std::vector<ServiceView> views(5, Busy());
  const std::string screen = Screen(views, 40, 20);
  const std::vector<std::string> lines = absl::StrSplit(screen, '\n');
  EXPECT_LE(std::ranges::count(screen, '\n'), 19);
  for (const std::string& line : lines) EXPECT_LE(line.size(), 40U);
  EXPECT_THAT(screen, HasSubstr("\n3 more: a higher terminal shows them\n"));
  EXPECT_THAT(Screen(views), Not(HasSubstr(" more: ")));
}

TEST(RequestQuantile, IsInterpolatedAmongThoseBetweenTheSamples) {
  const auto registry = NewMetricRegistry();
  cache_service::ServiceMetrics metrics(*registry);
  const auto sample = [&] {
    return ServiceSample{"s", absl::UnixEpoch(), metrics.DescribeRequests()};
  };
  const auto observe = [&](int times, double us) {
    for (int i = 0; i < times; ++i) {
      metrics.ObserveRequest(MessageType::kFetch, absl::Microseconds(us));
    }
  };
  EXPECT_EQ(RequestQuantileUs(nullptr, sample(), "fetch", 0.5), std::nullopt);
  observe(1000, 0.5);
  const ServiceSample before = sample();
  EXPECT_DOUBLE_EQ(*RequestQuantileUs(nullptr, before, "fetch", 0.5), 0.5);
  observe(50, 3);    // in (2, 4]
  observe(50, 100);  // in (64, 128]
  const ServiceSample now = sample();
  EXPECT_DOUBLE_EQ(*RequestQuantileUs(&before, now, "fetch", 0.25), 3);
  EXPECT_DOUBLE_EQ(*RequestQuantileUs(&before, now, "fetch", 0.75), 96);
  EXPECT_EQ(RequestQuantileUs(&before, now, "publish", 0.5), std::nullopt) << "none came";
  EXPECT_EQ(RequestQuantileUs(&now, before, "fetch", 0.5), std::nullopt) << "it counts from 0";
  observe(10000, 1e6);
  EXPECT_DOUBLE_EQ(*RequestQuantileUs(&before, sample(), "fetch", 0.99), 65536) << "the last bound";
}

}  // namespace
}  // namespace pinboard::app
