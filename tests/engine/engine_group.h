// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// All ranks of an engine in one process, a thread each, seen as one.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "engine/engine.h"
#include "transport/collective/local/local_communicator.h"

namespace pinboard::engine::testing {

using TokenIds = std::vector<std::int32_t>;

struct GroupInput {
  std::uint64_t sequence = 0;
  TokenIds tokens;
};

/// Logits of the whole vocabulary: [tokens][vocab].
using FullLogits = std::vector<std::vector<float>>;

struct GroupOutput {
  FullLogits logits;
  std::vector<TokenCandidate> candidates;
};

class EngineGroup {
 public:
  /// Puts itself between a rank and its group.
  using Decorate = std::function<std::unique_ptr<transport::Communicator>(
      int rank, std::unique_ptr<transport::Communicator>)>;

  EngineGroup(const EngineOptions& options, int ranks, const Decorate& decorate = nullptr)
      : group_(ranks), engines_(ranks) {
    for (int rank = 0; rank < ranks; ++rank) {
      auto communicator = group_.Join(rank);
      communicators_.push_back(decorate ? decorate(rank, std::move(communicator))
                                        : std::move(communicator));
    }
    OnRanks([&](int rank) {
      auto engine = Engine::Load(options, communicators_[rank].get());
      ASSERT_TRUE(engine.ok()) << engine.status();
      engines_[rank] = *std::move(engine);
    });
  }

  /// Runs `body` on every rank at once; on the caller's thread where there is one.
  void OnRanks(const std::function<void(int)>& body) {
    if (ranks() == 1) return body(0);
    std::vector<std::thread> threads;
    for (int rank = 0; rank < ranks(); ++rank) threads.emplace_back(body, rank);
    for (std::thread& thread : threads) thread.join();
  }

  void Add(std::uint64_t sequence) {
    OnRanks([&](int rank) { ASSERT_TRUE(engines_[rank]->AddSequence(sequence, {}).ok()); });
  }

  /// All logits of all inputs; the ranks must agree on the candidates.
  std::vector<GroupOutput> Step(const std::vector<GroupInput>& inputs) {
    std::vector<StepInput> step;
    for (const GroupInput& input : inputs) {
      step.push_back({input.sequence, input.tokens, LogitsWanted::kAll});
    }
    std::vector<std::vector<StepOutput>> outputs(ranks());
    OnRanks([&](int rank) {
      auto result = engines_[rank]->Step(step);
      ASSERT_TRUE(result.ok()) << result.status();
      outputs[rank] = *std::move(result);
    });
    std::vector<GroupOutput> joined(inputs.size());
    for (const auto& made : outputs) {
      if (made.size() != inputs.size()) return joined;  // the failure is on record
    }
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      joined[i].candidates = outputs[0][i].candidates;
      joined[i].logits.resize(inputs[i].tokens.size());
      for (int rank = 0; rank < ranks(); ++rank) Join(outputs[rank][i], &joined[i]);
    }
    return joined;
  }

  Engine& engine(int rank = 0) { return *engines_[rank]; }
  transport::Communicator* communicator(int rank) { return communicators_[rank].get(); }
  int ranks() const { return static_cast<int>(engines_.size()); }

 private:
  void Join(const StepOutput& part, GroupOutput* whole) {
    const int width = engines_[0]->vocab_local();
    ASSERT_EQ(part.logits.size(), whole->logits.size() * width);
    for (std::size_t token = 0; token < whole->logits.size(); ++token) {
      const auto row = part.logits.begin() + static_cast<std::ptrdiff_t>(token) * width;
      whole->logits[token].insert(whole->logits[token].end(), row, row + width);
    }
    ASSERT_EQ(part.candidates.size(), whole->candidates.size());
    for (std::size_t i = 0; i < part.candidates.size(); ++i) {
      EXPECT_EQ(part.candidates[i].id, whole->candidates[i].id);
      EXPECT_EQ(part.candidates[i].logit, whole->candidates[i].logit);
    }
  }

  transport::LocalGroup group_;
  std::vector<std::unique_ptr<transport::Communicator>> communicators_;
  std::vector<std::unique_ptr<Engine>> engines_;
};

}  // namespace pinboard::engine::testing
