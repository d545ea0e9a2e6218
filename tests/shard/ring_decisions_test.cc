// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What a step finds out is acted upon in the next one, layer after layer, or at once: the rings are
// the same.
#include <gtest/gtest.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "tests/shard/recall_probe.h"
#include "tests/support/seeded_random.h"

namespace pinboard::testing {
namespace {

constexpr int kLayers = 6;  // groups of one, one, two and two

ToyModel Model() {
  ToyModel model;
  model.layers = kLayers;
  model.blocks = 600;
  return model;
}

ShardOptions NeverWaiting() {
  ShardOptions options = ToyOptions();
  options.wait_for_pages = false;
  return options;
}

/// Gives a step what was fetched before it looked first, and nothing afterwards: a fetch takes from
/// one step's end, or the next one's layers, to that one's end. A look finds copied what was begun
/// before it: on a device, which copies when it gets to it, the two sides would differ otherwise.
class StepStore final : public cache_service::PageStore {
 public:
  explicit StepStore(cache_service::MemoryPages& pages) : store_(pages) {}

  void BeginStep() { has_looked_ = false; }

  absl::StatusOr<std::vector<cache_service::PageLease>> Lease(int count, std::size_t bytes,
                                                              absl::Time deadline) override {
    return store_.Lease(count, bytes, deadline);
  }
  void Publish(std::vector<cache_service::PageLease> leases,
               absl::Span<const cache_service::PageHeader> headers) override {
    store_.Publish(std::move(leases), headers);
  }
  void Fetch(absl::Span<const cache_service::PageRef> pages, absl::Time deadline) override {
    store_.Fetch(pages, deadline);
  }
  std::vector<cache_service::FetchResult> TakeFetched() override {
    AwaitToyBackend();
    if (std::exchange(has_looked_, true)) return {};
    return store_.TakeFetched();
  }
  bool WaitFetched(absl::Time deadline) override { return store_.WaitFetched(deadline); }
  void Drop(absl::Span<const cache_service::PageRef> pages) override { store_.Drop(pages); }
  void DropSequence(std::uint64_t sequence) override { store_.DropSequence(sequence); }
  cache_service::PageStoreStats stats() const override { return store_.stats(); }

 private:
  cache_service::MemoryPageStore store_;
  bool has_looked_ = false;
};

/// The rows of all layers after each of some steps that look for different rows, with a fork and
/// two rounds between, one of whose halves lie steps. `companion`: a sequence without rings that
/// recalls within the step is in every step, so that all decisions are taken at once.
std::vector<std::vector<std::int32_t>> RowsOfSteps(bool companion) {
  constexpr std::uint64_t kFork = 8;
  constexpr std::uint64_t kCompanion = 9;
  cache_service::MemoryPages pages;
  StepStore store(pages);
  transport::LocalGroup group(1);
  const auto communicator = group.Join(0);
  ToyRank rank(Model(), communicator.get(), &store, NeverWaiting());
  std::vector<std::vector<std::int32_t>> rows;
  Prefill(rank);
  std::vector<std::uint64_t> sequences = {kSequence};
  if (companion) {
    sequences.push_back(kCompanion);
    EXPECT_TRUE(rank.Add(kCompanion, Recalling("step", kLayers - 1)).ok());
  }
  for (int step = 0; step < 60; ++step) {
    store.BeginStep();
    EXPECT_TRUE(rank.Step(sequences, 1, 4 + 37 * (step / 3) % 270).ok());
    if (step == 10) {
      EXPECT_TRUE(rank.Fork(kSequence, kFork, ToyPolicy()).ok());
      sequences.push_back(kFork);
    }
    if (step == 20) {
      EXPECT_TRUE(rank.Compress({kSequence}).ok());
    }
    if (step == 40) {
      EXPECT_TRUE(rank.Begin({kSequence, kFork}).ok());
    }
    if (step == 43) {
      EXPECT_TRUE(rank.Commit({kSequence, kFork}).ok());
    }
    for (int l = 0; l < kLayers; ++l) {
      rows.push_back(rank.shard().RowPositions(kSequence, l));
      rows.push_back(rank.shard().RowPositions(kFork, l));
    }
  }
  EXPECT_EQ(rank.FirstWrongRow(kSequence), "");
  EXPECT_EQ(rank.FirstWrongRow(kFork), "");
  const ShardStats stats = rank.shard().stats();
  EXPECT_GT(stats.pages_recalled, 10U);
  // Of the fork's, whose origin has let its pages go: misses too.
  rows.push_back({static_cast<std::int32_t>(stats.pages_recalled),
                  static_cast<std::int32_t>(stats.misses),
                  static_cast<std::int32_t>(stats.recall_lag_steps)});
  return rows;
}

TEST(RingDecisions, TakenLayerAfterLayerAreThoseTakenAtOnce) {
  const auto layer_after_layer = RowsOfSteps(/*companion=*/false);
  const auto at_once = RowsOfSteps(/*companion=*/true);
  ASSERT_EQ(layer_after_layer.size(), at_once.size());
  for (std::size_t i = 0; i < at_once.size(); ++i) {
    ASSERT_EQ(layer_after_layer[i], at_once[i])
        << "step " << i / (2 * kLayers) << " layer " << i / 2 % kLayers;
  }
}

/// Steps of some of its sequences, rounds that steps lie within, forks and ends, drawn alike on
/// every rank.
class RandomCalls {
 public:
  RandomCalls(std::uint32_t seed, ToyRank* rank) : random_(seed), rank_(rank) {}

  void Call() {
    const int what = random_.Int(0, 15);
    if (sequences_.size() < 2 || (what == 0 && sequences_.size() < 5)) {
      Start();
    } else if (what == 1) {
      Fork();
    } else if (what == 2 && round_.empty()) {
      End();
    } else if (what == 3 && round_.empty()) {
      round_ = Some();
      ASSERT_PB_OK(rank_->Begin(round_));
    } else if (what <= 5 && !round_.empty()) {
      const auto outcomes = rank_->Commit(std::exchange(round_, {}));
      ASSERT_TRUE(outcomes.ok()) << outcomes.status().message();
    } else {
      ASSERT_PB_OK(rank_->Step(Some(), 1, random_.Int(4, 290)));
    }
    for (const std::uint64_t sequence : sequences_) {
      ASSERT_EQ(rank_->FirstWrongRow(sequence), "") << "sequence " << sequence;
    }
  }

 private:
  std::uint64_t Any() { return sequences_[random_.Int(0, std::ssize(sequences_) - 1)]; }
  std::vector<std::uint64_t> Some() {
    std::vector<std::uint64_t> some;
    for (const std::uint64_t sequence : sequences_) {
      if (!random_.OneIn(3)) some.push_back(sequence);
    }
    if (some.empty()) some.push_back(Any());
    return some;
  }
  void Start() {
    sequences_.push_back(next_++);
    ASSERT_PB_OK(rank_->Add(sequences_.back(), ToyPolicy()));
    ASSERT_PB_OK(rank_->Step({sequences_.back()}, 300));
    if (!round_.empty()) return;
    ASSERT_TRUE(rank_->Compress({sequences_.back()}).ok());
  }
  void Fork() {
    const std::uint64_t from = Any();
    if (std::count(round_.begin(), round_.end(), from) > 0 || sequences_.size() > 5) return;
    ASSERT_PB_OK(rank_->Fork(from, next_, ToyPolicy()));
    sequences_.push_back(next_++);
  }
  void End() {
    const std::uint64_t sequence = Any();
    ASSERT_PB_OK(rank_->Remove(sequence));
    sequences_.erase(std::find(sequences_.begin(), sequences_.end(), sequence));
  }

  SeededRandom random_;
  ToyRank* rank_;
  std::uint64_t next_ = 1;
  std::vector<std::uint64_t> sequences_;
  std::vector<std::uint64_t> round_;  // begun
};

TEST(RingDecisions, WhateverIsCalledBetweenTheirStepAndTheirLayersEveryRowIsRight) {
  const std::uint32_t seed = TestSeed();
  for (const int tp : {1, 2}) {
    ToyGroup group(Model(), tp, NeverWaiting());
    std::vector<ShardStats> stats(tp);
    group.OnEach([&](ToyRank& rank, int index) {
      RandomCalls calls(seed, &rank);
      for (int i = 0; i < 250; ++i) {
        calls.Call();
        ASSERT_FALSE(::testing::Test::HasFatalFailure());
      }
      stats[index] = rank.shard().stats();
    });
    EXPECT_GT(stats[0].pages_recalled, 0U);
    for (const ShardStats& one : stats) {
      EXPECT_EQ(one.keepset_mismatches, 0U);
      EXPECT_EQ(one.pages_recalled, stats[0].pages_recalled);
    }
  }
}

}  // namespace
}  // namespace pinboard::testing
