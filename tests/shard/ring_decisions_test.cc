// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What a step finds out is acted upon in the next one, layer after layer, or at once: the rings are
// the same.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tests/shard/recall_probe.h"
#include "tests/support/seeded_random.h"

namespace pinboard::testing {
namespace {

constexpr int kLayers = 6;  // groups of one, one, two and two

ToyModel Model(int layers = kLayers) {
  ToyModel model;
  model.layers = layers;
  model.blocks = 600;
  return model;
}

ShardOptions NeverWaiting() {
  ShardOptions options = ToyOptions();
  options.wait_for_pages = false;
  return options;
}

/// Gives what was fetched when it is looked at while it may be, and writes down what was asked for.
/// A look finds copied what was begun before it, which a device copies when it gets to it.
class StepStore final : public cache_service::PageStore {
 public:
  explicit StepStore(cache_service::MemoryPages& pages) : store_(pages) {}

  void AllowLooks(int looks) { looks_ = looks; }
  /// Its pages never come.
  void Withhold(int layer) { withheld_ = layer; }
  /// The layers of each message since the last call.
  std::vector<std::set<int>> TakeMessages() { return std::exchange(messages_, {}); }

  absl::StatusOr<std::vector<cache_service::PageLease>> Lease(int count, std::size_t bytes,
                                                              absl::Time deadline) override {
    return store_.Lease(count, bytes, deadline);
  }
  void Publish(std::vector<cache_service::PageLease> leases,
               absl::Span<const cache_service::PageHeader> headers) override {
    store_.Publish(std::move(leases), headers);
  }
  void Fetch(absl::Span<const cache_service::PageRef> pages, absl::Time deadline) override {
    std::set<int>& layers = messages_.emplace_back();
    std::vector<cache_service::PageRef> coming;
    for (const cache_service::PageRef& page : pages) {
      layers.insert(page.key.layer);
      if (page.key.layer != withheld_) coming.push_back(page);
    }
    store_.Fetch(coming, deadline);
  }
  std::vector<cache_service::FetchResult> TakeFetched() override {
    AwaitToyBackend();
    if (looks_ == 0) return {};
    --looks_;
    return store_.TakeFetched();
  }
  bool WaitFetched(absl::Time deadline) override { return store_.WaitFetched(deadline); }
  void Drop(absl::Span<const cache_service::PageRef> pages) override { store_.Drop(pages); }
  void DropSequence(std::uint64_t sequence) override { store_.DropSequence(sequence); }
  cache_service::PageStoreStats stats() const override { return store_.stats(); }

 private:
  cache_service::MemoryPageStore store_;
  int looks_ = 0;
  int withheld_ = -1;
  std::vector<std::set<int>> messages_;
};

/// What a sequence attends to in a layer after a step, and what had come or been missed till then.
struct LayerOfStep {
  int step = 0;
  std::uint64_t sequence = 0;
  int layer = 0;
  std::vector<std::int32_t> rows;
  std::vector<std::int32_t> resident;  // the first position of each of the ring's pages
  ShardStats stats;
};

LayerOfStep Seen(ToyRank& rank, int step, std::uint64_t sequence, int layer) {
  LayerOfStep seen{step, sequence, layer, rank.shard().RowPositions(sequence, layer), {}, {}};
  for (int row = 0; row < rank.shard().RingRows(sequence, layer); row += kPageRows) {
    seen.resident.push_back(seen.rows[row]);
  }
  seen.stats = rank.shard().stats();
  return seen;
}

std::string Describe(const LayerOfStep& seen) {
  return absl::StrCat("step ", seen.step, " sequence ", seen.sequence, " layer ", seen.layer,
                      ": resident are the pages from rows ", absl::StrJoin(seen.resident, " "),
                      "; so far ", seen.stats.pages_recalled, " recalled, ", seen.stats.misses,
                      " missed");
}

/// All layers after each of some steps that look for different rows, with a fork and two rounds
/// between, one of whose halves lie steps. `companion`: a sequence without rings that recalls
/// within the step is in every step, so that all decisions are taken at once. Pages come before the
/// last layer, which is a group of its own and whose pages never come: after all that a step's
/// layers ask for, and, where a device has yet to copy them, before the step ends. For pages that
/// come while a step ends, those who decide at once can still join the fetch of another sequence,
/// and those who decide in the next step ask anew, and get theirs a step later.
std::vector<LayerOfStep> RunSteps(bool companion) {
  constexpr int kLast = 8;  // after groups of one, one, two and four
  constexpr std::uint64_t kFork = 8;
  constexpr std::uint64_t kCompanion = 9;
  cache_service::MemoryPages pages;
  StepStore store(pages);
  store.Withhold(kLast);
  transport::LocalGroup group(1);
  const auto communicator = group.Join(0);
  ToyRank rank(Model(kLast + 1), communicator.get(), &store, NeverWaiting());
  rank.on_attended = [&](int layer) { store.AllowLooks(layer + 1 == kLast ? 1 : 0); };
  std::vector<LayerOfStep> seen;
  Prefill(rank);
  std::vector<std::uint64_t> sequences = {kSequence};
  if (companion) {
    sequences.push_back(kCompanion);
    EXPECT_TRUE(rank.Add(kCompanion, Recalling("step", kLast)).ok());
  }
  for (int step = 0; step < 60; ++step) {
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
    for (int l = 0; l <= kLast; ++l) {
      seen.push_back(Seen(rank, step, kSequence, l));
      if (step >= 10) seen.push_back(Seen(rank, step, kFork, l));
    }
  }
  EXPECT_EQ(rank.FirstWrongRow(kSequence), "");
  EXPECT_EQ(rank.FirstWrongRow(kFork), "");
  return seen;
}

TEST(RingDecisions, TakenLayerAfterLayerAreThoseTakenAtOnce) {
  const auto layer_after_layer = RunSteps(/*companion=*/false);
  const auto at_once = RunSteps(/*companion=*/true);
  ASSERT_EQ(layer_after_layer.size(), at_once.size());
  for (std::size_t i = 0; i < at_once.size(); ++i) {
    ASSERT_EQ(layer_after_layer[i].rows, at_once[i].rows)
        << "layer after layer: " << Describe(layer_after_layer[i])
        << "\nat once:           " << Describe(at_once[i]);
  }
  const ShardStats& stats = at_once.back().stats;
  const ShardStats& later = layer_after_layer.back().stats;
  EXPECT_GT(stats.pages_recalled, 10U);
  EXPECT_GT(stats.misses, 0U);  // the fork's, whose origin has let its pages go
  EXPECT_EQ(later.pages_recalled, stats.pages_recalled);
  EXPECT_EQ(later.misses, stats.misses);
  EXPECT_EQ(later.recall_lag_steps, stats.recall_lag_steps);
}

/// A sequence's steps, which look for different rows.
void Look(ToyRank& rank, int steps) {
  for (int step = 0; step < steps; ++step) {
    ASSERT_PB_OK(rank.Step({kSequence}, 1, 4 + 37 * (step / 3) % 270));
  }
}

TEST(RingDecisions, EachGroupOfLayersAsksForItsPagesInOneMessageBeforeTheNext) {
  // By the first layer of a group, the first one after it.
  const std::map<int, int> groups = {{0, 1}, {1, 2}, {2, 4}, {4, 8}, {8, 16}, {16, 24}, {24, 26}};
  cache_service::MemoryPages pages;
  StepStore store(pages);
  transport::LocalGroup group(1);
  const auto communicator = group.Join(0);
  ToyRank rank(Model(/*layers=*/26), communicator.get(), &store, NeverWaiting());
  Prefill(rank);
  std::set<int> asked;  // the first layers of groups
  rank.on_attended = [&](int layer) {
    if (layer == 0) store.AllowLooks(1 << 30);
    const auto messages = store.TakeMessages();
    if (messages.empty()) return;
    ASSERT_TRUE(groups.contains(layer)) << layer;
    ASSERT_EQ(messages.size(), 1U) << "layer " << layer;
    EXPECT_GE(*messages[0].begin(), layer);
    EXPECT_LT(*messages[0].rbegin(), groups.at(layer));
    asked.insert(layer);
  };
  Look(rank, 30);
  EXPECT_EQ(asked.size(), groups.size());
  EXPECT_TRUE(store.TakeMessages().empty()) << "after the layers";
}

TEST(RingDecisions, PagesThatComeBetweenGroupsOfLayersAreThereWhenTheStepEnds) {
  cache_service::MemoryPages pages;
  StepStore store(pages);
  transport::LocalGroup group(1);
  const auto communicator = group.Join(0);
  ToyRank rank(Model(), communicator.get(), &store, NeverWaiting());
  Prefill(rank);
  // Looks are in vain but in the last group of layers: what it asks for itself comes a step later.
  rank.on_attended = [&](int layer) { store.AllowLooks(layer == 3 ? 1 : 0); };
  Look(rank, 60);
  EXPECT_EQ(rank.FirstWrongRow(kSequence), "");
  const ShardStats stats = rank.shard().stats();
  EXPECT_GT(stats.pages_recalled, 10U);
  EXPECT_LT(stats.recall_lag_steps, 3 * stats.pages_recalled);
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
