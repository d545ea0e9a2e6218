// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A round of several sequences: what it asks of the store, and that they stand or fall together.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "kernels/page_transfer/page_transfer.h"
#include "shard/slab_leases.h"
#include "tests/shard/toy_group.h"

namespace pinboard::testing {
namespace {

/// Counts the messages to a store.
class CountedStore final : public cache_service::PageStore {
 public:
  explicit CountedStore(cache_service::MemoryPages& pages) : store_(pages) {}

  int leases = 0, publications = 0, drops = 0;
  bool is_stuck = false;
  absl::Duration longest_wait;  // that a lease may take

  absl::StatusOr<std::vector<cache_service::PageLease>> Lease(int count, std::size_t bytes,
                                                              absl::Time deadline) override {
    ++leases;
    longest_wait = std::max(longest_wait, deadline - SteadyNow());
    if (is_stuck) return absl::DeadlineExceededError("no lease in time");
    return store_.Lease(count, bytes, deadline);
  }
  void Publish(std::vector<cache_service::PageLease> leases,
               absl::Span<const cache_service::PageHeader> headers) override {
    ++publications;
    store_.Publish(std::move(leases), headers);
  }
  void Drop(absl::Span<const cache_service::PageRef> pages) override {
    ++drops;
    store_.Drop(pages);
  }
  void Fetch(absl::Span<const cache_service::PageRef> pages, absl::Time deadline) override {
    store_.Fetch(pages, deadline);
  }
  std::vector<cache_service::FetchResult> TakeFetched() override { return store_.TakeFetched(); }
  bool WaitFetched(absl::Time deadline) override { return store_.WaitFetched(deadline); }
  void DropSequence(std::uint64_t sequence) override { store_.DropSequence(sequence); }
  cache_service::PageStoreStats stats() const override { return store_.stats(); }

 private:
  cache_service::MemoryPageStore store_;
};

/// A group of one that has read 300 tokens of each of its sequences.
struct Prefilled {
  explicit Prefilled(std::vector<std::uint64_t> ids,
                     std::size_t capacity_bytes = std::numeric_limits<std::size_t>::max())
      : sequences(std::move(ids)), pages(capacity_bytes), store(pages) {
    for (const std::uint64_t sequence : sequences) {
      EXPECT_TRUE(rank.Add(sequence, ToyPolicy()).ok());
      EXPECT_TRUE(rank.Step({sequence}, 300).ok());
    }
  }
  static ToyModel Model() {
    ToyModel model;
    model.blocks = 200;
    return model;
  }
  void Compress() {
    auto outcomes = rank.Compress(sequences);
    ASSERT_TRUE(outcomes.ok()) << outcomes.status().message();
    for (const RoundOutcome& outcome : outcomes.value()) {
      EXPECT_TRUE(outcome.applied) << outcome.sequence << ": " << outcome.kept_all_because;
    }
  }
  void ExpectRightRows() {
    for (const std::uint64_t sequence : sequences) EXPECT_EQ(rank.FirstWrongRow(sequence), "");
  }

  std::vector<std::uint64_t> sequences;
  cache_service::MemoryPages pages;
  CountedStore store;
  transport::LocalGroup group{1};
  std::unique_ptr<transport::Communicator> communicator = group.Join(0);
  ToyRank rank{Model(), communicator.get(), &store, ToyOptions()};
};

TEST(RoundOfMany, LeasesPublishesAndDropsInOneMessageEach) {
  Prefilled all({1, 2, 3});
  all.Compress();
  EXPECT_EQ(all.store.leases, 1);
  EXPECT_EQ(all.store.publications, 1);
  EXPECT_EQ(all.store.drops, 0) << "a first round drops nothing";
  for (int i = 0; i < 40; ++i) ASSERT_PB_OK(all.rank.Step(all.sequences, 1));
  const int before = all.store.drops;
  all.Compress();
  EXPECT_EQ(all.store.leases, 2);
  EXPECT_EQ(all.store.publications, 2);
  EXPECT_EQ(all.store.drops, before + 1);
  EXPECT_EQ(all.pages.leases(), 0);
  all.ExpectRightRows();
}

TEST(RoundOfMany, OffloadsAsManyPagesAsTheServiceHasRoomFor) {
  Prefilled one({1});
  one.Compress();
  const int pages_of_one = one.pages.pages();
  const int room = pages_of_one + pages_of_one / 2;
  Prefilled two({1, 2}, room * kernels::PageBytes(one.rank.shape().kv));
  two.Compress();
  EXPECT_EQ(two.pages.pages(), room);
  EXPECT_EQ(two.rank.shard().stats().pages_without_slab, 2 * pages_of_one - room);
  EXPECT_EQ(two.pages.leases(), 0);
  two.ExpectRightRows();
}

TEST(RoundOfMany, LeasesMorePagesThanOneLeaseHasOneAfterAnother) {
  cache_service::MemoryPages pages;
  CountedStore store(pages);
  const std::size_t many = 2 * cache_service::kMostLeasedTogether + 1;
  EXPECT_EQ(LeaseUpTo(store, many, 16, SteadyNow() + absl::Minutes(1)).size(), many);
  EXPECT_EQ(store.leases, 3);
}

TEST(RoundOfMany, WaitsForAServiceThatIsStuckOnceAndForHalfASecondAtMost) {
  Prefilled both({1, 2});
  both.store.is_stuck = true;
  both.Compress();
  EXPECT_EQ(both.store.leases, 1);
  EXPECT_GT(both.store.longest_wait, absl::ZeroDuration());
  EXPECT_LE(both.store.longest_wait, absl::Milliseconds(500));
  EXPECT_EQ(both.pages.pages(), 0);
  both.ExpectRightRows();
}

TEST(RoundOfMany, KeepsEverythingOfAllWhereOneCannotBePrepared) {
  Prefilled both({1, 2});
  ASSERT_PB_OK(both.rank.Begin(both.sequences));
  both.rank.SpoilKeys(2, 1);
  auto outcomes = both.rank.Commit(both.sequences);
  both.rank.RestoreKeys(2, 1);
  ASSERT_TRUE(outcomes.ok()) << outcomes.status().message();
  for (const RoundOutcome& outcome : outcomes.value()) {
    EXPECT_FALSE(outcome.applied);
    EXPECT_NE(outcome.kept_all_because.find("not finite"), std::string::npos);
    EXPECT_EQ(outcome.rows[0], 300);
  }
  EXPECT_EQ(both.pages.leases(), 0) << "the slabs of both have been given back";
  EXPECT_EQ(both.pages.pages(), 0);
  both.ExpectRightRows();
  both.Compress();
  both.ExpectRightRows();
}

}  // namespace
}  // namespace pinboard::testing
