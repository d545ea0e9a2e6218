// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The whole of a tensor-parallel group (engine, shard, pages, a thread per rank), with its oracle
// beside it: whatever is done to the group is checked.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "pinboard/shard.h"
#include "tests/engine/engine_group.h"
#include "tests/engine/plain_model.h"
#include "tests/shard/troubled_communicator.h"
#include "tests/support/memory_page_store.h"

namespace pinboard::testing {

using engine::testing::GroupInput;
using engine::testing::TokenIds;

struct CheckedGroupOptions {
  nlohmann::json model = engine::testing::TinyLlamaJson();
  std::uint64_t weights_seed = 1;
  int tp = 1;
  int block_size = 16;
  int cache_blocks = 64;
  DType cache_dtype = DType::kF32;  // or kBF16, where outputs are compared less closely
  bool layer_tables = false;        // each layer's rows in blocks of its own
  ShardOptions shard = {.top_k = 16, .wait_for_pages = true, .census = true};
};

/// The oracle is a plain model that keeps every token of every sequence, and masks what the group's
/// rounds have evicted and not recalled. After every call:
///
///   outputs   each logit of a step equals the oracle's, of the whole vocabulary
///   ranks     rows, lengths, positions, outcomes and the collectives issued are the same on all
///   census    every row has one position, none twice; blocks are those the rows need, and each is
///             free or held once by every sequence that shares it
///   rounds    what is kept is what the plan says, was attended before, and holds the sinks, the
///             recent window and a protected prompt; rows behind the ring stay put from round to
///             round; over the layers no more is kept than the budget and what is protected
///
/// A violation is a failure of the running test; nothing is checked after the first one. One
/// thread.
class CheckedGroup {
 public:
  explicit CheckedGroup(const CheckedGroupOptions& options);

  void Add(std::uint64_t sequence, const SequenceOptions& options);
  void Fork(std::uint64_t from, std::uint64_t to, const SequenceOptions& options);
  /// Of a sequence that no round has taken rows from.
  void ForkPrefix(std::uint64_t from, std::uint64_t to, int tokens, const SequenceOptions& options);
  void Remove(std::uint64_t sequence);
  void Step(const std::vector<GroupInput>& inputs);
  void SwapOut(std::uint64_t sequence);
  void SwapIn(std::uint64_t sequence);
  /// `disturbed`: the last rank is given another sum than the others.
  void Begin(const std::vector<std::uint64_t>& sequences, bool disturbed = false);
  /// Of the round that was begun.
  std::vector<RoundOutcome> Commit();
  std::vector<RoundOutcome> Compress(const std::vector<std::uint64_t>& sequences);

  /// Every rank answers `call` with `code`, and nothing has changed.
  void ExpectRefused(absl::StatusCode code,
                     const std::function<absl::Status(engine::Engine&)>& call);

  /// The same on every rank.
  std::vector<std::uint64_t> Due();
  const std::vector<std::uint64_t>& in_round() const { return in_round_; }
  /// Positions attended in a layer.
  const std::vector<std::int32_t>& Positions(std::uint64_t sequence, int layer) const {
    return sequences_.at(sequence).positions[layer];
  }
  const SequenceOptions& Options(std::uint64_t sequence) const {
    return sequences_.at(sequence).options;
  }
  /// That a fork of the sequence takes at once.
  int RingBlocks(std::uint64_t sequence) const;
  engine::Engine& engine(int rank = 0) { return engines_->engine(rank); }
  ShardStats stats(int rank = 0) const { return shards_[rank]->stats(); }
  cache_service::MemoryPages& pages() { return pages_; }
  int tp() const { return engines_->ranks(); }
  int layers() const { return model_.config.layers; }
  int vocab() const { return model_.config.vocab_size; }

 private:
  struct Sequence {
    SequenceOptions options;
    engine::testing::PlainText text;
    engine::testing::PlainMask positions;  // of the rows, as of the last call
    std::vector<int> ring_rows;            // [layers]
    int length = 0;
    int length_at_begin = 0;
    bool swapped_out = false;
  };

  void OnEach(const std::function<absl::Status(engine::Engine&)>& call);
  engine::testing::PlainMask ReadPositions(std::uint64_t sequence) const;
  void CompareLogits(const GroupInput& input, const engine::testing::FullLogits& logits,
                     const std::vector<engine::testing::Vector>& expected) const;
  void CheckRound(const RoundOutcome& outcome, const engine::testing::PlainMask& before);
  void Census();
  void CheckCounts(std::uint64_t sequence, const Sequence& state);
  void CheckPositions(std::uint64_t sequence, Sequence* state);

  void CheckCollectives();
  /// Rows that the options allow a round to keep in each layer, what is protected aside.
  static double RowsAllowed(const Sequence& state);

  engine::testing::TinyModel model_;
  engine::testing::PlainModel oracle_;
  const int block_size_;
  const bool layer_tables_;
  const double tolerance_;
  bool disturbed_ = false;
  std::vector<TroubledCommunicator*> communicators_;
  std::size_t compared_collectives_ = 0;
  std::unique_ptr<engine::testing::EngineGroup> engines_;
  cache_service::MemoryPages pages_;
  std::vector<std::unique_ptr<cache_service::MemoryPageStore>> stores_;
  std::vector<std::unique_ptr<Shard>> shards_;
  std::map<std::uint64_t, Sequence> sequences_;
  std::vector<std::uint64_t> in_round_;
};

}  // namespace pinboard::testing
