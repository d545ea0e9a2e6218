// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A stand-in for an engine: one rank whose queries, rows, hidden states and logits are hashes of
// what they belong to, so that every rank of every group size sees its part of the same model.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <numeric>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/dtype.h"
#include "cache_service/page_store.h"
#include "pinboard/shard.h"
#include "shard/shard_factory.h"
#include "tests/shard/toy_memory.h"
#include "transport/collective/communicator.h"

namespace pinboard::testing {

struct ToyModel {
  bool mla = false;
  int layers = 3;
  int heads = 8;     // over all ranks
  int kv_heads = 4;  // over all ranks; MLA: one latent
  int key_dim = 32;
  int value_dim = 16;
  int hidden = 12;
  int vocab = 64;
  int block_size = 16;
  int blocks = 64;
  bool layer_tables = false;
};

/// In [-1, 1), a function of the arguments alone.
inline float ToyValue(std::uint64_t what, std::uint64_t layer, std::uint64_t position,
                      std::uint64_t head, std::uint64_t at) {
  std::uint64_t x = what * 0x9E3779B97F4A7C15ULL + layer * 0xBF58476D1CE4E5B9ULL +
                    position * 0x94D049BB133111EBULL + head * 0xD6E8FEB86659FD93ULL + at;
  for (int i = 0; i < 3; ++i) {
    x ^= x >> 31;
    x *= 0x7FB5D329728EA185ULL;
  }
  return static_cast<float>(static_cast<double>(x >> 11) * 0x1.0p-52 - 1.0);
}

class ToyRank {
 public:
  ToyRank(const ToyModel& model, transport::Communicator* communicator,
          cache_service::PageStore* store, ShardOptions options)
      : model_(model), rank_(communicator->rank()), tp_(communicator->size()) {
    options.backend = ToyBackend();
    ShardModel& m = options.model;
    m.layers = model.layers;
    m.query_heads = model.heads / tp_;
    m.total_query_heads = model.heads;
    m.kv_replicas = model.mla ? tp_ : std::max(1, tp_ / model.kv_heads);
    const int kv_heads = model.mla ? 1 : std::max(1, model.kv_heads / tp_);
    m.kv = {kv_heads, model.key_dim, model.value_dim, model.mla, DType::kBF16};
    m.attention_scale = 2.0F;
    m.rotary = {.first_dim = model.key_dim / 2, .frequencies = {1.0, 0.3, 0.1, 0.03}};
    m.hidden_dim = model.hidden;
    m.vocab_local = model.vocab / tp_;
    m.vocab_begin = rank_ * m.vocab_local;
    m.block_size = model.block_size;
    m.layer_tables = model.layer_tables;
    const std::int64_t key_token = static_cast<std::int64_t>(m.kv.KeyBytes());
    const std::int64_t value_token = static_cast<std::int64_t>(m.kv.ValueBytes());
    for (int l = 0; l < model.layers; ++l) {
      keys_.emplace_back(model.blocks * model.block_size * key_token, std::byte{0xEE});
      values_.emplace_back(model.blocks * model.block_size * value_token, std::byte{0xEE});
      m.cache.push_back(
          {{keys_.back().data(), key_token * model.block_size, key_token, key_token / kv_heads},
           {model.mla ? nullptr : values_.back().data(), value_token * model.block_size,
            value_token, value_token / kv_heads}});
    }
    for (int block = model.blocks - 1; block >= 0; --block) free_.push_back(block);
    shape_ = m;
    auto shard = CreateShard(options, communicator, store);
    EXPECT_TRUE(shard.ok()) << shard.status();
    shard_ = *std::move(shard);
  }

  Shard& shard() { return *shard_; }
  const ShardModel& shape() const { return shape_; }
  const std::vector<std::int32_t>& table(std::uint64_t sequence) {
    return tables_[sequence].front();
  }
  std::size_t free_blocks() const { return free_.size(); }

  Status Add(std::uint64_t sequence, const SequenceOptions& options) {
    return shard_->AddSequence(sequence, options);
  }

  /// Of all queries of the steps to come; empty: the engine does not show any.
  std::optional<float> log_sum_exp;
  /// Called in steps after a layer's attention, before its hidden states are shown.
  std::function<void(int layer)> on_attended;

  Status Fork(std::uint64_t from, std::uint64_t to, const SequenceOptions& options) {
    const Status forked = shard_->ForkSequence(from, to, shard_->Length(from), options);
    if (!forked.ok()) return forked;
    AwaitToyBackend();
    Reserve(to, 0);
    for (int l = 0; l < model_.layers; ++l) {
      for (int row = 0; row < shard_->Rows(to, l); ++row) CopyRow(from, to, l, row);
    }
    return {};
  }

  /// The first `tokens` tokens in the blocks of `from`; the ring and a part of a block are copied.
  Status ForkSharing(std::uint64_t from, std::uint64_t to, int tokens,
                     const SequenceOptions& options) {
    const Status forked = shard_->ForkSequence(from, to, tokens, options);
    if (!forked.ok()) return forked;
    AwaitToyBackend();
    auto& tables = tables_[to];
    tables.resize(TableCount());
    for (int i = 0; i < TableCount(); ++i) {
      const int rows = shard_->Rows(to, i);
      for (int row = 0; row < rows; row += model_.block_size) {
        if (row >= shard_->RingRows(to, i) && row + model_.block_size <= rows) {
          tables[i].push_back(tables_[from][i][row / model_.block_size]);
          continue;
        }
        TakeBlock(&tables[i]);
        CopyBlock(from, to, i, row);
      }
    }
    return {};
  }

  Status Remove(std::uint64_t sequence) {
    const auto tables = std::move(tables_[sequence]);
    tables_.erase(sequence);
    for (const auto& table : tables) {
      for (const std::int32_t block : table) FreeUnlessHeld(block);
    }
    return shard_->RemoveSequence(sequence);
  }

  /// One step of `tokens` new tokens for each sequence; `query_of`: layer -> position whose key the
  /// queries look for (negative: hashes).
  /// The first `looking` tokens of each look for `look_for`.
  Status Step(const std::vector<std::uint64_t>& sequences, int tokens, int look_for = -1,
              int looking = 1 << 30) {
    std::vector<StepEntry> entries;
    for (const std::uint64_t sequence : sequences) {
      Reserve(sequence, tokens);
      entries.push_back({sequence, tokens, TablesOf(sequence)});
    }
    std::vector<std::vector<int>> rows(model_.layers);  // before the step
    for (int l = 0; l < model_.layers; ++l) {
      for (const std::uint64_t sequence : sequences) {
        rows[l].push_back(shard_->Rows(sequence, l));
      }
    }
    std::vector<int> lengths;
    for (const std::uint64_t sequence : sequences) lengths.push_back(shard_->Length(sequence));
    if (Status begun = shard_->BeginStep(entries); !begun.ok()) return begun;
    for (int l = 0; l < model_.layers; ++l) {
      queries_.clear();
      for (std::size_t s = 0; s < sequences.size(); ++s) {
        for (int t = 0; t < tokens; ++t) {
          WriteRow(sequences[s], l, rows[l][s] + t, lengths[s] + t);
          AppendQueries(l, lengths[s] + t, t < looking ? look_for : -1, &queries_);
        }
      }
      if (Status seen = shard_->ObserveQueries(l, queries_); !seen.ok()) return seen;
      for (const int later : shard_->LayersToForesee(l)) {
        AwaitToyBackend();
        queries_.clear();
        for (std::size_t s = 0; s < sequences.size(); ++s) {
          for (int t = 0; t < tokens; ++t) {
            AppendQueries(later, lengths[s] + t, t < looking ? look_for : -1, &queries_);
          }
        }
        if (Status seen = shard_->ForeseeQueries(l, later, queries_); !seen.ok()) return seen;
      }
      if (Status shown = shard_->RecallLayer(l); !shown.ok()) return shown;
      AwaitToyBackend();  // from here on the layer before may be overwritten
      if (on_attended) on_attended(l);
      hidden_.clear();
      for (std::size_t s = 0; s < sequences.size(); ++s) {
        for (int t = 0; t < tokens; ++t) {
          for (int d = 0; d < model_.hidden; ++d)
            hidden_.push_back(ToyValue(3, l, lengths[s] + t, 0, d));
        }
      }
      if (log_sum_exp.has_value()) {
        log_sum_exps_.assign(sequences.size() * tokens * shape_.query_heads, *log_sum_exp);
        if (Status seen = shard_->ObserveLogSumExps(l, log_sum_exps_); !seen.ok()) return seen;
      }
      if (Status seen = shard_->ObserveHidden(l, hidden_); !seen.ok()) return seen;
      AwaitToyBackend();
    }
    logits_.clear();
    for (std::size_t s = 0; s < sequences.size(); ++s) {
      for (int t = 0; t < tokens; ++t) {
        for (int v = 0; v < shape_.vocab_local; ++v) {
          logits_.push_back(4 * ToyValue(4, 0, lengths[s] + t, 0, shape_.vocab_begin + v));
        }
      }
    }
    const int all = static_cast<int>(sequences.size()) * tokens;
    if (Status seen = shard_->ObserveLogits(0, all, logits_); !seen.ok()) return seen;
    if (Status sent = shard_->ExchangeScores(); !sent.ok()) return sent;
    auto ended = shard_->EndStep();
    if (ended.ok()) results_ = std::move(ended).value();
    return ended.status();
  }
  const std::vector<StepEntryResult>& results() const { return results_; }

  /// Rounds that begin now find no block for rows that are shared.
  void set_starved(bool starved) { starved_ = starved; }

  Status Begin(const std::vector<std::uint64_t>& sequences) {
    for (const std::uint64_t sequence : sequences) {
      const std::vector<int> planned = shard_->PlannedRows(sequence);
      if (planned.empty() || starved_ || !SharesBlocks(sequence)) continue;
      auto& leaving = leaving_[sequence];
      leaving.clear();
      for (int i = 0; i < TableCount(); ++i) {
        leaving.push_back(shard_->Rows(sequence, i) - planned[i]);
      }
      ExtendDestinations(sequence);
    }
    auto entries = RoundEntries(sequences);
    for (auto& entry : entries) entry.keep_all = starved_ && SharesBlocks(entry.sequence);
    return shard_->BeginRound(entries);
  }
  Result<std::vector<RoundOutcome>> Commit(const std::vector<std::uint64_t>& sequences) {
    for (const std::uint64_t sequence : sequences) {
      if (destinations_.contains(sequence)) ExtendDestinations(sequence);
    }
    auto outcomes = shard_->CommitRound(RoundEntries(sequences));
    if (!outcomes.ok()) return outcomes;
    for (const RoundOutcome& outcome : outcomes.value()) {
      auto& tables = tables_[outcome.sequence];
      auto& destinations = destinations_[outcome.sequence];
      for (std::size_t i = 0; i < tables.size(); ++i) {
        std::set<std::int32_t> left(tables[i].begin(), tables[i].end());
        if (i < destinations.size()) {
          left.insert(destinations[i].begin(), destinations[i].end());
          if (outcome.applied) tables[i].swap(destinations[i]);
        }
        tables[i].resize(outcome.blocks[i]);
        for (const std::int32_t block : left) FreeUnlessHeld(block);
      }
      destinations_.erase(outcome.sequence);
    }
    return outcomes;
  }
  Result<std::vector<RoundOutcome>> Compress(const std::vector<std::uint64_t>& sequences) {
    if (Status begun = Begin(sequences); !begun.ok()) return begun;
    return Commit(sequences);
  }

  /// A fault of this rank's memory: the keys of one layer of a sequence that was never compressed
  /// are no numbers.
  void SpoilKeys(std::uint64_t sequence, int l) {
    for (int row = 0; row < shard_->Rows(sequence, l); ++row) {
      std::memset(KeyAt(sequence, l, row), 0xFF, shape_.kv.KeyBytes());
    }
  }
  void RestoreKeys(std::uint64_t sequence, int l) {
    for (int row = 0; row < shard_->Rows(sequence, l); ++row) WriteRow(sequence, l, row, row);
  }

  /// Every attended row holds the bytes of its position: the first wrong one, or "".
  std::string FirstWrongRow(std::uint64_t sequence) {
    AwaitToyBackend();
    for (int l = 0; l < model_.layers; ++l) {
      const auto positions = shard_->RowPositions(sequence, l);
      for (int row = 0; row < static_cast<int>(positions.size()); ++row) {
        const auto expected = RowBytes(l, positions[row]);
        std::vector<std::byte> actual(expected.size());
        std::memcpy(actual.data(), KeyAt(sequence, l, row), shape_.kv.KeyBytes());
        if (!model_.mla) {
          std::memcpy(actual.data() + shape_.kv.KeyBytes(), ValueAt(sequence, l, row),
                      shape_.kv.ValueBytes());
        }
        if (actual != expected) {
          return "layer " + std::to_string(l) + " row " + std::to_string(row) + " position " +
                 std::to_string(positions[row]);
        }
      }
    }
    return "";
  }

  /// The position whose key one of this rank's KV heads holds in a row; -1: none.
  int HeadPosition(std::uint64_t sequence, int l, int head, int row) {
    AwaitToyBackend();
    const std::size_t bytes = shape_.kv.KeyBytes() / shape_.kv.kv_heads;
    for (int position = 0; position < shard_->Length(sequence); ++position) {
      const auto expected = RowBytes(l, position);
      if (std::memcmp(KeyAt(sequence, l, row) + head * bytes, expected.data() + head * bytes,
                      bytes) == 0) {
        return position;
      }
    }
    return -1;
  }

 private:
  int TableCount() const { return model_.layer_tables ? model_.layers : 1; }
  bool IsHeld(std::int32_t block, std::uint64_t except) const {
    const auto names_it = [&](const auto& table) {
      return std::find(table.begin(), table.end(), block) != table.end();
    };
    return std::any_of(tables_.begin(), tables_.end(), [&](const auto& entry) {
      return entry.first != except &&
             std::any_of(entry.second.begin(), entry.second.end(), names_it);
    });
  }
  void FreeUnlessHeld(std::int32_t block) {
    if (!IsHeld(block, 0)) free_.push_back(block);
  }
  bool SharesBlocks(std::uint64_t sequence) const {
    const auto is_shared = [&](std::int32_t block) { return IsHeld(block, sequence); };
    const auto& tables = tables_.at(sequence);
    return std::any_of(tables.begin(), tables.end(), [&](const auto& table) {
      return std::any_of(table.begin(), table.end(), is_shared);
    });
  }
  void TakeBlock(std::vector<std::int32_t>* table) {
    ASSERT_FALSE(free_.empty());
    table->push_back(free_.back());
    free_.pop_back();
  }
  void ExtendDestinations(std::uint64_t sequence) {
    auto& destinations = destinations_[sequence];
    destinations.resize(TableCount());
    for (int i = 0; i < TableCount(); ++i) {
      const int rows = shard_->Rows(sequence, i) - leaving_[sequence][i];
      while (static_cast<int>(destinations[i].size()) * model_.block_size < rows) {
        const std::int32_t block = tables_[sequence][i][destinations[i].size()];
        if (IsHeld(block, sequence)) {
          TakeBlock(&destinations[i]);
        } else {
          destinations[i].push_back(block);
        }
      }
    }
  }
  void CopyRow(std::uint64_t from, std::uint64_t to, int l, int row) {
    std::memcpy(KeyAt(to, l, row), KeyAt(from, l, row), shape_.kv.KeyBytes());
    if (model_.mla) return;
    std::memcpy(ValueAt(to, l, row), ValueAt(from, l, row), shape_.kv.ValueBytes());
  }
  /// The rows of a table's block that begins at `row`, in every layer that lies in it.
  void CopyBlock(std::uint64_t from, std::uint64_t to, int table, int row) {
    for (int l = 0; l < model_.layers; ++l) {
      if (model_.layer_tables && l != table) continue;
      const int end = std::min(shard_->Rows(to, l), row + model_.block_size);
      for (int r = row; r < end; ++r) CopyRow(from, to, l, r);
    }
  }

  /// Blocks for `tokens` more rows in every table.
  void Reserve(std::uint64_t sequence, int tokens) {
    auto& tables = tables_[sequence];
    tables.resize(TableCount());
    for (std::size_t i = 0; i < tables.size(); ++i) {
      const int rows = shard_->Rows(sequence, static_cast<int>(i)) + tokens;
      while (static_cast<int>(tables[i].size()) * model_.block_size < rows) TakeBlock(&tables[i]);
    }
  }

  BlockTables TablesOf(std::uint64_t sequence) {
    const auto& tables = tables_[sequence];
    return {tables.begin(), tables.end()};
  }

  /// Where a row lies in its layer's planes, in rows.
  int SlotOf(std::uint64_t sequence, int l, int row) {
    const auto& tables = tables_[sequence];
    const auto& table = tables.size() == 1 ? tables.front() : tables[l];
    return table[row / model_.block_size] * model_.block_size + row % model_.block_size;
  }

  std::vector<Shard::RoundEntry> RoundEntries(const std::vector<std::uint64_t>& sequences) {
    std::vector<Shard::RoundEntry> entries;
    for (const std::uint64_t sequence : sequences) {
      const auto destinations = destinations_.find(sequence);
      entries.push_back({sequence, TablesOf(sequence), {}});
      if (destinations == destinations_.end()) continue;
      entries.back().destination_tables = {destinations->second.begin(),
                                           destinations->second.end()};
    }
    return entries;
  }

  std::byte* KeyAt(std::uint64_t sequence, int l, int row) {
    return keys_[l].data() + SlotOf(sequence, l, row) * shape_.kv.KeyBytes();
  }
  std::byte* ValueAt(std::uint64_t sequence, int l, int row) {
    return values_[l].data() + SlotOf(sequence, l, row) * shape_.kv.ValueBytes();
  }

  int GlobalKvHead(int local) const {
    if (model_.mla) return 0;
    return rank_ / shape_.kv_replicas * shape_.kv.kv_heads + local;
  }

  std::vector<std::byte> RowBytes(int l, int position) const {
    std::vector<std::uint16_t> row;
    for (int h = 0; h < shape_.kv.kv_heads; ++h) {
      for (int d = 0; d < model_.key_dim; ++d) {
        row.push_back(FloatToBFloat16(ToyValue(1, l, position, GlobalKvHead(h), d)));
      }
    }
    for (int h = 0; !model_.mla && h < shape_.kv.kv_heads; ++h) {
      for (int d = 0; d < model_.value_dim; ++d) {
        row.push_back(FloatToBFloat16(ToyValue(2, l, position, GlobalKvHead(h), d)));
      }
    }
    std::vector<std::byte> bytes(row.size() * 2);
    std::memcpy(bytes.data(), row.data(), bytes.size());
    return bytes;
  }

  void WriteRow(std::uint64_t sequence, int l, int row, int position) {
    const auto bytes = RowBytes(l, position);
    std::memcpy(KeyAt(sequence, l, row), bytes.data(), shape_.kv.KeyBytes());
    if (!model_.mla) {
      std::memcpy(ValueAt(sequence, l, row), bytes.data() + shape_.kv.KeyBytes(),
                  shape_.kv.ValueBytes());
    }
  }

  void AppendQueries(int l, int position, int look_for, ToyVector<float>* queries) const {
    const int group = model_.mla ? model_.heads : model_.heads / model_.kv_heads;
    for (int h = 0; h < shape_.query_heads; ++h) {
      const int head = rank_ * shape_.query_heads + h;
      for (int d = 0; d < model_.key_dim; ++d) {
        queries->push_back(look_for < 0 ? ToyValue(5, l, position, head, d)
                                        : 3 * ToyValue(1, l, look_for, head / group, d));
      }
    }
  }

  ToyModel model_;
  int rank_;
  int tp_;
  ShardModel shape_;
  std::vector<ToyVector<std::byte>> keys_;
  std::vector<ToyVector<std::byte>> values_;
  ToyVector<float> queries_, log_sum_exps_, hidden_, logits_;  // of a step
  std::vector<std::int32_t> free_;
  std::map<std::uint64_t, std::vector<std::vector<std::int32_t>>> tables_, destinations_;
  std::map<std::uint64_t, std::vector<int>> leaving_;  // [table] rows that the round takes
  bool starved_ = false;
  std::vector<StepEntryResult> results_;
  std::unique_ptr<Shard> shard_;
};

}  // namespace pinboard::testing
