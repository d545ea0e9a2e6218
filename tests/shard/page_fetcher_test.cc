// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Fetches and their tickets, with a store and an intake that do what the test says.
#include "shard/page_fetcher.h"

#include <gtest/gtest.h>

#include <memory>
#include <utility>
#include <vector>

#include "base/status_macros.h"

namespace pinboard {
namespace {

using cache_service::FetchResult;
using cache_service::PageRef;
using State = PageFetcher::State;

class ScriptedStore final : public cache_service::PageStore {
 public:
  /// What TakeFetched gives next.
  std::vector<FetchResult> results;

  absl::StatusOr<std::vector<cache_service::PageLease>> Lease(int, std::size_t,
                                                              absl::Time) override {
    return absl::UnimplementedError("no leases here");
  }
  void Publish(std::vector<cache_service::PageLease>,
               absl::Span<const cache_service::PageHeader>) override {}
  void Fetch(absl::Span<const PageRef>, absl::Time) override {}
  std::vector<FetchResult> TakeFetched() override { return std::exchange(results, {}); }
  bool WaitFetched(absl::Time) override { return !results.empty(); }
  void Drop(absl::Span<const PageRef>) override {}
  void DropSequence(std::uint64_t) override {}
  cache_service::PageStoreStats stats() const override { return {}; }
};

/// Copies at once, or says why not.
class ScriptedIntake final : public PageIntake {
 public:
  explicit ScriptedIntake(const absl::Status* refusal) : refusal_(*refusal) {}
  absl::Status Start(std::vector<Arrival> pages) override {
    PB_RETURN_IF_ERROR(refusal_);
    for (const Arrival& page : pages) {
      copies_.push_back({page.identity, std::make_shared<const std::byte>()});
    }
    return absl::OkStatus();
  }
  absl::StatusOr<std::vector<Copy>> Poll() override { return std::exchange(copies_, {}); }
  absl::StatusOr<std::vector<Copy>> Wait() override { return Poll(); }

 private:
  const absl::Status& refusal_;
  std::vector<Copy> copies_;
};

class PageFetcherTest : public ::testing::Test {
 protected:
  static PageRef Ref(std::uint32_t generation) { return {{.sequence = 7, .page = 3}, generation}; }
  static FetchResult Came(const PageRef& ref) {
    return FetchResult(ref, {.bytes = 1}, cache_service::PagePin());
  }
  void Want(const PageRef& ref) {
    const PageFetcher::Request request{kTicket, ref};
    fetcher_.Start({&request, 1}, absl::InfiniteFuture());
  }
  State StateOfTicket() const {
    return fetcher_.StatesOf(kTicket.sequence, kTicket.layer, {&kTicket.page, 1})[0];
  }

  static constexpr FetchTicket kTicket{.sequence = 7, .layer = 0, .page = 3};
  absl::Status refusal_;
  ScriptedStore store_;
  PageFetcher fetcher_{&store_, std::make_unique<ScriptedIntake>(&refusal_)};
};

TEST_F(PageFetcherTest, APageForWhichThereIsNoMemoryIsAMissAndNoError) {
  refusal_ = absl::ResourceExhaustedError("out of memory");
  Want(Ref(1));
  store_.results.push_back(Came(Ref(1)));
  EXPECT_EQ(fetcher_.Poll(), absl::OkStatus());
  EXPECT_EQ(StateOfTicket(), State::kMissed);
  EXPECT_FALSE(fetcher_.is_waiting());
  EXPECT_EQ(fetcher_.failures().unplaced, 1);
}

TEST_F(PageFetcherTest, AnyOtherErrorOfTheDeviceIsOne) {
  refusal_ = absl::InternalError("lost");
  Want(Ref(1));
  store_.results.push_back(Came(Ref(1)));
  EXPECT_EQ(fetcher_.Poll(), refusal_);
}

TEST_F(PageFetcherTest, WhatAnEarlierLifeOfTheSequenceAskedForSettlesNothingOfThisOne) {
  Want(Ref(1));
  fetcher_.Forget(kTicket.sequence);
  Want(Ref(2));
  store_.results.emplace_back(Ref(1), cache_service::FetchedHeader(),
                              absl::NotFoundError("evicted"));
  EXPECT_EQ(fetcher_.Poll(), absl::OkStatus());
  EXPECT_EQ(StateOfTicket(), State::kPending);
  store_.results.push_back(Came(Ref(2)));
  EXPECT_EQ(fetcher_.Poll(), absl::OkStatus());
  EXPECT_EQ(StateOfTicket(), State::kReady);
}

}  // namespace
}  // namespace pinboard
