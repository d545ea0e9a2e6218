// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Steps that are replayed as graphs against the same steps launched one by one: the same bits,
// whatever comes between them.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>

#include "shard/shard_factory.h"
#include "tests/engine/engine_group.h"
#include "tests/support/memory_page_store.h"
#include "tests/support/seeded_random.h"

namespace pinboard::engine {
namespace {

using testing::EngineGroup;
using testing::GroupInput;
using testing::TokenIds;

EngineOptions Options(const std::string& model, bool graphs) {
  const char* root = std::getenv("PINBOARD_SOURCE_DIR");
  return {.backend = Backend::kCuda,
          .model_dir = std::string(root == nullptr ? "." : root) + "/models/tiny-" + model,
          .cache_blocks = 256,
          .step_graphs = graphs};
}

/// An engine, and pages for the shard that it may get.
class Side {
 public:
  Side(const std::string& model, bool graphs) : group_(Options(model, graphs), 1) {}
  ~Side() {
    for (const std::uint64_t sequence : sequences_) engine().Remove(sequence).IgnoreError();
    engine().Attach(nullptr).IgnoreError();
  }

  void AttachShard() {
    ShardOptions options;
    options.model = engine().MakeShardModel();
    options.backend = Backend::kCuda;
    options.stream = engine().stream();
    options.wait_for_pages = true;
    auto shard = CreateShard(options, group_.communicator(0), &store_);
    ASSERT_TRUE(shard.ok()) << shard.status();
    shard_ = *std::move(shard);
    ASSERT_TRUE(engine().Attach(shard_.get()).ok());
  }

  void Add(std::uint64_t sequence, const SequenceOptions& options) {
    ASSERT_TRUE(engine().AddSequence(sequence, options).ok());
    sequences_.push_back(sequence);
  }
  void Fork(std::uint64_t from, std::uint64_t to, const SequenceOptions& options) {
    const absl::Status forked = engine().Fork(from, to, options);
    ASSERT_TRUE(forked.ok()) << forked;
    sequences_.push_back(to);
  }
  void Remove(std::uint64_t sequence) {
    ASSERT_TRUE(engine().Remove(sequence).ok());
    sequences_.erase(std::find(sequences_.begin(), sequences_.end(), sequence));
  }
  void SwapOutAndIn(std::uint64_t sequence) {
    ASSERT_TRUE(engine().SwapOut(sequence).ok() && engine().SwapIn(sequence).ok());
  }
  void Compress() {
    const auto outcomes = engine().Compress(sequences_);
    ASSERT_TRUE(outcomes.ok()) << outcomes.status();
  }

  std::vector<testing::GroupOutput> Step(const std::vector<GroupInput>& inputs) {
    return group_.Step(inputs);
  }
  const std::vector<std::uint64_t>& sequences() const { return sequences_; }
  Engine& engine() { return group_.engine(); }
  std::uint64_t recalled() const { return shard_->stats().pages_recalled; }

 private:
  cache_service::MemoryPages pages_{std::size_t{64} << 20};
  cache_service::MemoryPageStore store_{pages_};
  EngineGroup group_;
  std::unique_ptr<Shard> shard_;
  std::vector<std::uint64_t> sequences_;
};

class StepGraphs : public ::testing::TestWithParam<std::string> {
 protected:
  StepGraphs() : replayed_(GetParam(), true), launched_(GetParam(), false) {}

  template <typename Body>
  void OnBoth(Body body) {
    body(replayed_);
    body(launched_);
  }

  TokenIds Draw(int count) {
    TokenIds tokens(count);
    for (std::int32_t& token : tokens) token = random_.Int(0, 1999);
    return tokens;
  }

  void Step(const std::vector<GroupInput>& inputs) {
    const auto replayed = replayed_.Step(inputs), launched = launched_.Step(inputs);
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      ASSERT_EQ(replayed[i].logits, launched[i].logits) << "sequence " << inputs[i].sequence;
      ASSERT_EQ(replayed[i].candidates.front().id, launched[i].candidates.front().id);
    }
  }
  void Decode(int steps) {
    for (int step = 0; step < steps && !HasFatalFailure(); ++step) {
      std::vector<GroupInput> inputs;
      for (const std::uint64_t sequence : replayed_.sequences()) {
        inputs.push_back({sequence, Draw(1)});
      }
      Step(inputs);
    }
  }
  void ExpectReplays() {
    EXPECT_GT(replayed_.engine().stats().graphs_launched, 0);
    EXPECT_EQ(launched_.engine().stats().graphs_launched, 0);
  }

  SeededRandom random_;
  Side replayed_, launched_;
};

TEST_P(StepGraphs, HaveTheBitsOfLaunchesWhateverComesBetween) {
  std::uint64_t next = 1;
  const auto add = [&] {
    OnBoth([&](Side& side) { side.Add(next, {}); });
    Step({{next++, Draw(random_.Int(1, 120))}});
  };
  add();
  add();
  for (int turn = 0; turn < 24 && !HasFatalFailure(); ++turn) {
    Decode(random_.Int(1, 8));
    const auto& sequences = replayed_.sequences();
    const std::uint64_t any = sequences[random_.Int(0, static_cast<int>(sequences.size()) - 1)];
    switch (random_.Int(0, 4)) {
      case 0:
        if (sequences.size() < 6) add();
        break;
      case 1:
        if (sequences.size() < 6) OnBoth([&](Side& side) { side.Fork(any, next, {}); });
        if (replayed_.sequences().back() == next) ++next;
        break;
      case 2:
        if (sequences.size() > 1) OnBoth([&](Side& side) { side.Remove(any); });
        break;
      case 3:
        OnBoth([&](Side& side) { side.SwapOutAndIn(any); });
        break;
      default:  // a chunk beside tokens of the others
        Step({{any, Draw(random_.Int(2, 60))}});
    }
  }
  ExpectReplays();
}

TEST_P(StepGraphs, HaveTheBitsOfLaunchesWithAShardThatCompressesAndRecalls) {
  SequenceOptions options;
  options.window = 16;
  options.budget = 0.2;
  options.recall_pages = 2;
  OnBoth([&](Side& side) {
    side.AttachShard();
    for (const std::uint64_t sequence : {1, 2, 3}) side.Add(sequence, options);
  });
  for (const std::uint64_t sequence : {1, 2, 3}) Step({{sequence, Draw(random_.Int(300, 400))}});
  for (int round = 0; round < 3 && !HasFatalFailure(); ++round) {
    OnBoth([](Side& side) { side.Compress(); });
    Decode(20);
    for (const std::uint64_t sequence : {1, 2, 3}) {
      for (int layer = 0; layer < replayed_.engine().config().layers; ++layer) {
        ASSERT_EQ(replayed_.engine().Rows(sequence, layer),
                  launched_.engine().Rows(sequence, layer));
      }
    }
  }
  EXPECT_EQ(replayed_.recalled(), launched_.recalled());
  EXPECT_GT(replayed_.recalled(), 0);
  ExpectReplays();
}

INSTANTIATE_TEST_SUITE_P(Models, StepGraphs, ::testing::Values("llama", "deepseek"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace pinboard::engine
