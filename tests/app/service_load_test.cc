// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The load on a cache service: its workloads, its values, and that a wrong byte is found.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "app/service_load/load_report.h"
#include "app/service_load/load_run.h"
#include "app/service_load/page_names.h"
#include "app/service_load/page_values.h"
#include "app/service_load/workload.h"
#include "app/service_load/zipf.h"
#include "tests/support/memory_page_store.h"

namespace pinboard::app {
namespace {

using cache_service::FetchedHeader;
using cache_service::FetchResult;
using cache_service::MemoryPages;
using cache_service::MemoryPageStore;
using cache_service::PageHeader;
using cache_service::PageLease;
using cache_service::PagePin;
using cache_service::PageRef;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(WorkloadTest, KeysThatAreLeftOutKeepTheirDefaults) {
  const auto workload = ParseWorkload(R"({"page_bytes": [1152, 64], "read_share": 0.5})", "w");
  ASSERT_EQ(workload.status(), absl::OkStatus());
  EXPECT_THAT(workload->page_bytes, ElementsAre(1152, 64));
  EXPECT_EQ(workload->read_share, 0.5);
  EXPECT_EQ(workload->clients, Workload().clients);
}

TEST(WorkloadTest, MistakesAreNamedInOneLine) {
  const std::pair<const char*, const char*> mistakes[] = {
      {"[]", "w"},
      {R"({"client": 2})", "w: client: unknown; there are clients"},
      {R"({"two\nlines": 2})", "w: two\\nlines: unknown; there are clients"},
      {R"({"clients": 0})", "w: clients: a number from 1 to 256"},
      {R"({"clients": 1.5})", "w: clients: a number"},
      {R"({"zipf": "0.9"})", "w: zipf: a number from 0 to 5"},
      {R"({"page_bytes": 64})", "w: page_bytes: a list"},
      {R"({"page_bytes": [0]})", "w: page_bytes: a number from 1"},
      {R"({"pages": 1, "page_bytes": [1, 2]})", "w: pages: at least one of each"},
      {R"({"tenants": []})", "w: tenants: a list of 1 to 256 names"},
      {R"({"tenants": [1]})", "w: tenants: each name is a text"},
      {R"({"tenants": ["a", "b", "c"]})", "w: tenants: each needs a client, and there are 2"},
      {R"({"run": 0})", "w: run: a number from 1"},
      {R"({"copy": 1})", "w: copy: true or false"},
      {R"({"put_in_place": 1})", "w: put_in_place: true or false"},
  };
  for (const auto& [text, expected] : mistakes) {
    const absl::Status status = ParseWorkload(text, "w").status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << text;
    EXPECT_THAT(std::string(status.message()), HasSubstr(expected));
  }
  EXPECT_TRUE(absl::IsNotFound(ReadWorkload("/nowhere").status()));
}

TEST(PageNamesTest, EveryPageOfEveryClientHasANameOfItsOwnThatLeadsBack) {
  const PageNames names(3);
  std::set<PageKey> seen;
  for (std::uint64_t client = 0; client < 3; ++client) {
    for (std::uint32_t page = 0; page < 5000; ++page) {
      const PageKey key = names.Of(client, page);
      EXPECT_TRUE(seen.insert(key).second);
      EXPECT_EQ(key.sequence % 3, client);
      EXPECT_EQ(names.PageOf(key), page);
    }
  }
  const PageKey first = names.Of(1, 32 * 7);
  const PageKey last = names.Of(1, 32 * 8 - 1);
  EXPECT_EQ(first.page, last.page) << "32 pages in a row are all layers of one number";
  EXPECT_EQ(first.sequence, last.sequence);
}

TEST(ZipfTest, DrawsFollowTheLaw) {
  std::mt19937_64 random(1);
  std::vector<int> drawn(10);
  const Zipf zipf(10, 1);
  for (int i = 0; i < 100000; ++i) ++drawn[zipf.Draw(random)];
  EXPECT_NEAR(static_cast<double>(drawn[0]) / drawn[1], 2, 0.1);
  EXPECT_NEAR(static_cast<double>(drawn[0]) / drawn[9], 10, 1);
  std::vector<int> alike(2);
  for (int i = 0; i < 10000; ++i) ++alike[Zipf(2, 0).Draw(random)];
  EXPECT_NEAR(alike[0], 5000, 300);
}

/// A page as it came, with its bytes.
FetchResult Fetched(const PageRef& page, const std::vector<std::byte>& bytes) {
  return {page, HeaderOf(page, bytes.size()).fetched(), PagePin(bytes, nullptr)};
}

TEST(PageValuesTest, OneOtherBitOrHeaderFieldIsFound) {
  const PageRef page{{.sequence = 1, .page = 2, .layer = 3, .shard = 4}, 5};
  std::vector<std::byte> bytes(101);
  FillPage(page, absl::MakeSpan(bytes));
  EXPECT_TRUE(IsIntact(page, bytes.size(), Fetched(page, bytes)));
  for (std::byte& byte : bytes) {
    byte ^= std::byte{16};
    EXPECT_FALSE(IsIntact(page, bytes.size(), Fetched(page, bytes)));
    byte ^= std::byte{16};
  }
  EXPECT_FALSE(IsIntact(page, bytes.size() - 1, Fetched(page, bytes)));
  const auto with = [&](auto change) {
    FetchResult result = Fetched(page, bytes);
    change(result.header);
    return IsIntact(page, bytes.size(), result);
  };
  EXPECT_TRUE(with([](FetchedHeader&) {}));
  EXPECT_FALSE(with([](FetchedHeader& header) { ++header.bytes; }));
  EXPECT_FALSE(with([](FetchedHeader& header) { ++header.tag; }));
  EXPECT_FALSE(with([](FetchedHeader& header) { ++header.mean_information; }));
}

TEST(PageValuesTest, AnotherPageOrGenerationHoldsOtherBytes) {
  const PageRef page{{.sequence = 1, .page = 2, .layer = 3, .shard = 4}, 5};
  std::vector<std::byte> bytes(64);
  PageRef others[] = {page, page, page, page, page};
  ++others[0].key.sequence;
  ++others[1].key.page;
  ++others[2].key.layer;
  ++others[3].key.shard;
  ++others[4].generation;
  for (const PageRef& other : others) {
    FillPage(other, absl::MakeSpan(bytes));
    FetchResult result = Fetched(page, bytes);
    EXPECT_FALSE(IsIntact(page, bytes.size(), result));
  }
}

TEST(LoadReportTest, PercentilesAreByTheNearestRank) {
  const std::vector<double> values = {1, 2, 3, 4};
  EXPECT_EQ(Percentile(values, 0.5), 2);
  EXPECT_EQ(Percentile(values, 0.51), 3);
  EXPECT_EQ(Percentile(values, 0.999), 4);
  EXPECT_EQ(Percentile({}, 0.5), 0);
}

/// Flips a bit of each page of a publication once told to.
class FlippingStore : public cache_service::PageStore {
 public:
  FlippingStore(MemoryPages& pages, const std::atomic<bool>& flip) : store_(pages), flip_(flip) {}
  absl::StatusOr<std::vector<PageLease>> Lease(int count, std::size_t bytes,
                                               absl::Time deadline) override {
    return store_.Lease(count, bytes, deadline);
  }
  void Publish(std::vector<PageLease> leases, absl::Span<const PageHeader> headers) override {
    for (PageLease& lease : leases) {
      if (flip_) lease.memory().back() ^= std::byte{1};
    }
    store_.Publish(std::move(leases), headers);
  }
  void Fetch(absl::Span<const PageRef> pages, absl::Time deadline) override {
    store_.Fetch(pages, deadline);
  }
  std::vector<FetchResult> TakeFetched() override { return store_.TakeFetched(); }
  bool WaitFetched(absl::Time deadline) override { return store_.WaitFetched(deadline); }
  void Drop(absl::Span<const PageRef> pages) override { store_.Drop(pages); }
  void DropSequence(std::uint64_t sequence) override { store_.DropSequence(sequence); }
  cache_service::PageStoreStats stats() const override { return store_.stats(); }

 private:
  MemoryPageStore store_;
  const std::atomic<bool>& flip_;
};

constexpr absl::Duration kPause = absl::Milliseconds(1);

/// Takes its time for all that belongs to a put, and looks that nobody writes to leases meanwhile.
class SlowStore final : public FlippingStore {
 public:
  using FlippingStore::FlippingStore;
  absl::StatusOr<std::vector<PageLease>> Lease(int count, std::size_t bytes,
                                               absl::Time deadline) override {
    absl::SleepFor(kPause);
    auto leases = FlippingStore::Lease(count, bytes, deadline);
    leased_ = leases->front().memory();
    return leases;
  }
  void Publish(std::vector<PageLease> leases, absl::Span<const PageHeader> headers) override {
    absl::SleepFor(kPause);
    FlippingStore::Publish(std::move(leases), headers);
  }
  void Fetch(absl::Span<const PageRef> pages, absl::Time deadline) override {
    absl::SleepFor(kPause);
    EXPECT_EQ(std::count(leased_.begin(), leased_.end(), std::byte{0}), leased_.size())
        << "the writing is in the put's time";
    FlippingStore::Fetch(pages, deadline);
  }

 private:
  absl::Span<const std::byte> leased_;
};

class LoadTest : public ::testing::Test {
 protected:
  absl::StatusOr<LoadResult> Run(MemoryPages& pages) {
    return RunLoad(
        workload_, [&](int) { return std::make_unique<FlippingStore>(pages, flip_); },
        interrupted_);
  }
  Workload workload_{.clients = 3,
                     .pages = 50,
                     .page_bytes = {700, 64, 1000},
                     .batch = 7,
                     .read_share = 0.6,
                     .seconds = 0.1};
  std::atomic<bool> flip_ = false;
  std::atomic<bool> interrupted_ = false;
};

TEST_F(LoadTest, EveryPageIsPublishedAndWhatIsReadIsRight) {
  MemoryPages pages;
  const auto result = Run(pages);
  ASSERT_EQ(result.status(), absl::OkStatus());
  EXPECT_EQ(pages.pages(), 150);
  EXPECT_GT(result->get.pages, 0);
  EXPECT_EQ(result->wrong_pages, 0);
  EXPECT_EQ(result->put.pages, result->put.latency_us.size() * 7);
  const auto json = nlohmann::json::parse(LoadJson(workload_, *result));
  EXPECT_EQ(json["get"]["pages"], result->get.pages);
  EXPECT_EQ(json["get"]["bytes_per_copying_second"], 0) << "nothing was copied out";
  EXPECT_GE(json["put"]["bytes_per_copying_second"], json["put"]["bytes_per_busy_second"]);
  EXPECT_EQ(json["workload"]["batch"], 7);
  EXPECT_THAT(
      LoadTable(workload_, *result),
      AllOf(HasSubstr("\nget, in place "), HasSubstr("\nput, copied "),
            HasSubstr(absl::StrCat("\n", result->get.pages, " pages read and checked, 0 wrong"))));
}

TEST_F(LoadTest, CopiedPagesAreCheckedWhereTheyWereCopiedTo) {
  workload_.copy = true;
  workload_.run = 4;
  MemoryPages pages;
  const auto result = Run(pages);
  ASSERT_EQ(result.status(), absl::OkStatus());
  EXPECT_GT(result->get.pages, 0);
  EXPECT_EQ(result->wrong_pages, 0);
  EXPECT_LE(result->get.busy_seconds, 3 * result->seconds);
  EXPECT_GT(result->get.copy_seconds, 0);
  EXPECT_LE(result->get.copy_seconds, result->get.busy_seconds);
  flip_ = true;
  MemoryPages flipped;
  const auto wrong = Run(flipped);
  ASSERT_EQ(wrong.status(), absl::OkStatus());
  EXPECT_GT(wrong->wrong_pages, 0);
  EXPECT_EQ(wrong->wrong_pages, wrong->get.pages);
}

TEST_F(LoadTest, PagesThatAreWrittenInPlaceAreCheckedByGetsAndByTheLastOfEachPut) {
  workload_.put_in_place = true;
  MemoryPages pages;
  const auto result = Run(pages);
  ASSERT_EQ(result.status(), absl::OkStatus());
  EXPECT_GT(result->get.pages, 0);
  EXPECT_GT(result->put.pages, 0);
  EXPECT_EQ(result->put.pages, result->put.latency_us.size() * 7);
  EXPECT_EQ(result->checked_pages, result->get.pages + result->put.latency_us.size());
  EXPECT_EQ(result->wrong_pages, 0);
  EXPECT_EQ(result->put.copy_seconds, 0);
  EXPECT_THAT(LoadTable(workload_, *result), HasSubstr("\nput, in place "));
  EXPECT_EQ(nlohmann::json::parse(LoadJson(workload_, *result))["workload"]["put_in_place"], true);
  flip_ = true;
  workload_.read_share = 0;
  MemoryPages flipped;
  const auto wrong = Run(flipped);
  ASSERT_EQ(wrong.status(), absl::OkStatus());
  EXPECT_GT(wrong->wrong_pages, 0);
  EXPECT_EQ(wrong->wrong_pages, wrong->put.latency_us.size());
}

TEST_F(LoadTest, TheTimeOfAPutInPlaceIsAllButTheWriting) {
  workload_.put_in_place = true;
  workload_.read_share = 0;
  MemoryPages pages;
  const auto result = RunLoad(
      workload_, [&](int) { return std::make_unique<SlowStore>(pages, flip_); }, interrupted_);
  ASSERT_EQ(result.status(), absl::OkStatus());
  ASSERT_GT(result->put.pages, 0);
  EXPECT_GE(result->put.latency_us.front(), 3 * absl::ToDoubleMicroseconds(kPause))
      << "publication, lease and answer";
}

TEST_F(LoadTest, TenantsFetchNoPageOfEachOther) {
  workload_.tenants = {"a", "b"};
  workload_.read_share = 1;  // so that no page is replaced while it is asked for
  MemoryPages pages[2];
  const auto result = RunLoad(
      workload_,
      [&](int client) { return std::make_unique<FlippingStore>(pages[client % 2], flip_); },
      interrupted_);
  ASSERT_EQ(result.status(), absl::OkStatus());
  EXPECT_EQ(pages[0].pages(), 100);
  EXPECT_EQ(pages[1].pages(), 50);
  EXPECT_GT(result->get.pages, 0);
  EXPECT_EQ(result->misses, 0) << "a page of the other tenant was asked for";
}

TEST_F(LoadTest, AnInterruptionEndsIt) {
  workload_.seconds = 600;
  interrupted_ = true;
  MemoryPages pages;
  const auto result = Run(pages);
  ASSERT_EQ(result.status(), absl::OkStatus());
  EXPECT_EQ(result->get.pages + result->put.pages, 0);
}

TEST_F(LoadTest, AFlippedBitIsCounted) {
  MemoryPages pages;
  flip_ = true;
  const auto result = Run(pages);
  ASSERT_EQ(result.status(), absl::OkStatus());
  EXPECT_GT(result->wrong_pages, 0);
  EXPECT_EQ(result->wrong_pages, result->get.pages);
}

TEST_F(LoadTest, EvictedPagesAreMissesAndNotErrors) {
  MemoryPages pages(20 * 1000);
  const auto result = Run(pages);
  ASSERT_EQ(result.status(), absl::OkStatus());
  EXPECT_GT(result->misses, 0);
  EXPECT_EQ(result->wrong_pages, 0);
}

TEST_F(LoadTest, AServiceWithoutRoomForABatchEndsTheRun) {
  MemoryPages pages(100);
  const absl::Status status = Run(pages).status();
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
}

TEST_F(LoadTest, AServiceThatIsGoneEndsTheRun) {
  MemoryPages pages;
  pages.SetGone(true);
  EXPECT_TRUE(absl::IsUnavailable(Run(pages).status()));
}

}  // namespace
}  // namespace pinboard::app
