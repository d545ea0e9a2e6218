// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/system/checked_group.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "absl/strings/match.h"
#include "shard/shard_factory.h"

namespace pinboard::testing {
namespace {

using engine::Engine;
using engine::testing::EngineGroup;
using engine::testing::PlainMask;

/// float against double, over a few layers of weights up to a quarter; a value in bf16 is now and
/// then rounded to its other neighbour.
constexpr double kTolerance = 1e-3;
constexpr double kToleranceBf16 = 2e-2;

bool Failed() { return ::testing::Test::HasFailure(); }

std::unique_ptr<EngineGroup> LoadEngines(const CheckedGroupOptions& options,
                                         const engine::testing::TinyModel& model,
                                         const EngineGroup::Decorate& decorate) {
  const engine::testing::TinyDirectory directory("checked-group");
  WriteTinyModel(model, directory);
  engine::EngineOptions of_engine;
  of_engine.model_dir = directory.path();
  of_engine.block_size = options.block_size;
  of_engine.cache_blocks = options.cache_blocks;
  of_engine.cache_dtype = options.cache_dtype;
  of_engine.layer_tables = options.layer_tables;
  return std::make_unique<EngineGroup>(of_engine, options.tp, decorate);
}

/// Experts are chosen by their bias alone: where two are nearly as good, float and double may take
/// different ones, and nothing that follows could be compared.
engine::testing::TinyModel MakeModel(const CheckedGroupOptions& options) {
  auto model = engine::testing::MakeTinyModel(options.model, options.weights_seed);
  for (auto& [name, tensor] : model.tensors) {
    if (!absl::EndsWith(name, "e_score_correction_bias")) continue;
    std::iota(tensor.values.begin(), tensor.values.end(), 0.0F);
    for (float& bias : tensor.values) bias *= 3.0F;
  }
  return model;
}

}  // namespace

CheckedGroup::CheckedGroup(const CheckedGroupOptions& options)
    : model_(MakeModel(options)),
      oracle_(model_, options.cache_dtype),
      block_size_(options.block_size),
      layer_tables_(options.layer_tables),
      tolerance_(options.cache_dtype == DType::kF32 ? kTolerance : kToleranceBf16) {
  const auto disturb = [this, last = options.tp - 1](int rank) {
    return [this, hit = rank == last](int, absl::Span<std::int32_t> sum) {
      if (disturbed_ && hit && !sum.empty()) sum[sum.size() / 2] ^= 1 << 28;
    };
  };
  engines_ = LoadEngines(
      options, model_, [&](int rank, std::unique_ptr<transport::Communicator> communicator) {
        auto troubled =
            std::make_unique<TroubledCommunicator>(std::move(communicator), nullptr, disturb(rank));
        communicators_.push_back(troubled.get());
        return troubled;
      });
  for (int rank = 0; rank < tp(); ++rank) {
    ShardOptions shard = options.shard;
    shard.export_plans = true;
    shard.model = engine(rank).MakeShardModel();
    stores_.push_back(std::make_unique<cache_service::MemoryPageStore>(pages_));
    auto made = CreateShard(shard, engines_->communicator(rank), stores_.back().get());
    EXPECT_TRUE(made.ok()) << made.status();
    shards_.push_back(*std::move(made));
    EXPECT_TRUE(engine(rank).Attach(shards_.back().get()).ok());
  }
}

void CheckedGroup::OnEach(const std::function<absl::Status(Engine&)>& call) {
  engines_->OnRanks([&](int rank) {
    const absl::Status status = call(engine(rank));
    EXPECT_TRUE(status.ok()) << "rank " << rank << ": " << status;
  });
}

void CheckedGroup::Add(std::uint64_t sequence, const SequenceOptions& options) {
  OnEach([&](Engine& engine) { return engine.AddSequence(sequence, options); });
  Sequence& state = sequences_[sequence];
  state.options = options;
  state.text.resize(layers());
  state.positions.resize(layers());
  state.ring_rows.resize(layers(), 0);
  Census();
}

void CheckedGroup::Fork(std::uint64_t from, std::uint64_t to, const SequenceOptions& options) {
  OnEach([&](Engine& engine) { return engine.Fork(from, to, options); });
  Sequence copy = sequences_.at(from);
  copy.options = options;
  sequences_[to] = std::move(copy);
  Census();
}

void CheckedGroup::ForkPrefix(std::uint64_t from, std::uint64_t to, int tokens,
                              const SequenceOptions& options) {
  OnEach([&](Engine& engine) { return engine.ForkPrefix(from, to, tokens, options); });
  Sequence prefix = sequences_.at(from);
  prefix.options = options;
  prefix.length = tokens;
  for (int layer = 0; layer < layers(); ++layer) {
    auto& heads = prefix.text[layer];
    for (auto* values : {&heads.queries, &heads.keys, &heads.values}) values->resize(tokens);
    prefix.positions[layer].resize(tokens);
  }
  sequences_[to] = std::move(prefix);
  Census();
}

int CheckedGroup::RingBlocks(std::uint64_t sequence) const {
  int blocks = 0;
  for (const int rows : sequences_.at(sequence).ring_rows) {
    blocks += (rows + block_size_ - 1) / block_size_;
    if (!layer_tables_) break;
  }
  return blocks;
}

void CheckedGroup::Remove(std::uint64_t sequence) {
  OnEach([&](Engine& engine) { return engine.Remove(sequence); });
  sequences_.erase(sequence);
  Census();
}

void CheckedGroup::SwapOut(std::uint64_t sequence) {
  OnEach([&](Engine& engine) { return engine.SwapOut(sequence); });
  sequences_.at(sequence).swapped_out = true;
  Census();
}

void CheckedGroup::SwapIn(std::uint64_t sequence) {
  OnEach([&](Engine& engine) { return engine.SwapIn(sequence); });
  sequences_.at(sequence).swapped_out = false;
  Census();
}

void CheckedGroup::Step(const std::vector<GroupInput>& inputs) {
  const auto outputs = engines_->Step(inputs);
  if (Failed()) return;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    Sequence& state = sequences_.at(inputs[i].sequence);
    const PlainMask before = std::exchange(state.positions, ReadPositions(inputs[i].sequence));
    PlainMask mask = state.positions;
    for (int layer = 0; layer < layers(); ++layer) {
      const auto stays = before[layer].begin() + state.ring_rows[layer];
      ASSERT_GE(mask[layer].size(), before[layer].size());
      mask[layer].resize(before[layer].size());
      ASSERT_TRUE(
          std::equal(stays, before[layer].end(), mask[layer].begin() + state.ring_rows[layer]))
          << "sequence " << inputs[i].sequence << ", layer " << layer
          << ": a step moved rows behind the ring";
    }
    state.length += static_cast<int>(inputs[i].tokens.size());
    CompareLogits(inputs[i], outputs[i].logits,
                  oracle_.Extend(inputs[i].tokens, mask, &state.text));
    if (Failed()) return;
  }
  Census();
}

void CheckedGroup::Begin(const std::vector<std::uint64_t>& sequences, bool disturbed) {
  disturbed_ = disturbed;
  OnEach([&](Engine& engine) { return engine.BeginRound(sequences); });
  disturbed_ = false;
  if (Failed()) return;
  in_round_ = sequences;
  for (const std::uint64_t sequence : sequences) {
    Sequence& state = sequences_.at(sequence);
    state.length_at_begin = state.length;
    state.positions = ReadPositions(sequence);
  }
  Census();
}

std::vector<RoundOutcome> CheckedGroup::Commit() {
  std::vector<std::vector<RoundOutcome>> outcomes(tp());
  engines_->OnRanks([&](int rank) {
    auto committed = engine(rank).CommitRound(in_round_);
    ASSERT_TRUE(committed.ok()) << "rank " << rank << ": " << committed.status();
    outcomes[rank] = *std::move(committed);
  });
  in_round_.clear();
  for (std::size_t i = 0; i < outcomes[0].size() && !Failed(); ++i) {
    const RoundOutcome& outcome = outcomes[0][i];
    for (const auto& other : outcomes) {
      EXPECT_EQ(other[i].applied, outcome.applied);
      if (outcome.applied) {
        EXPECT_EQ(other[i].plan_hash, outcome.plan_hash);
      }
      EXPECT_EQ(other[i].rows, outcome.rows);
    }
    Sequence& state = sequences_.at(outcome.sequence);
    const PlainMask before = std::exchange(state.positions, ReadPositions(outcome.sequence));
    if (outcome.applied) {
      CheckRound(outcome, before);
    } else {
      EXPECT_EQ(state.positions, before) << "a round that keeps everything moved rows";
    }
  }
  Census();
  return outcomes[0];
}

std::vector<RoundOutcome> CheckedGroup::Compress(const std::vector<std::uint64_t>& sequences) {
  Begin(sequences);
  return Failed() ? std::vector<RoundOutcome>() : Commit();
}

void CheckedGroup::ExpectRefused(absl::StatusCode code,
                                 const std::function<absl::Status(Engine&)>& call) {
  engines_->OnRanks([&](int rank) {
    const absl::Status status = call(engine(rank));
    EXPECT_EQ(status.code(), code) << "rank " << rank << ": " << status;
  });
  Census();
}

std::vector<std::uint64_t> CheckedGroup::Due() {
  const int total = engine().total_blocks();
  const auto due = shards_[0]->DueForRound(total - engine().free_blocks(), total);
  for (const auto& shard : shards_) {
    EXPECT_EQ(shard->DueForRound(total - engine().free_blocks(), total), due);
  }
  return due;
}

}  // namespace pinboard::testing
