// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The host's part of a step that decodes one token of each of many sequences, with recall in every
// step: an 8B-shaped rank's 32 layers and 8 ring pages or so of the 410 of each changed in a step.
// Operations and the page store do nothing that counts. Medians of this thread's CPU time, by the
// calls of an engine. Needs no GPU.
//
// usage: host_step_bench [sequences] [steps]    34 and 200 unless said otherwise
#include <array>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <numeric>
#include <vector>

#include "bench/median.h"
#include "bench/round/idle_operations.h"
#include "bench/step/idle_page_store.h"
#include "shard/shard_runtime.h"
#include "transport/collective/local/local_communicator.h"

namespace pinboard::bench {
namespace {

constexpr int kLayers = 32;
constexpr int kContext = 32'768;
constexpr int kChunk = 4'096;
constexpr int kBlockSize = 16;
constexpr int kRowBytes = 32;

/// In the order of the calls. A device works on the step from its first layer on until its scores
/// are there: from ExchangeScores to the next step's first layer the host's time is the device's
/// too.
enum Stage : std::uint8_t { kBegin, kFirstLayer, kLayersSeen, kScores, kExchange, kEnd, kStages };
constexpr std::array<const char*, kStages> kNames = {
    "BeginStep", "the first layer", "other layers", "scores enqueued", "ExchangeScores", "EndStep"};
using StageMs = std::array<double, kStages>;

void Require(const Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "step: %s\n", status.message().c_str());
  std::exit(1);
}

class Decoding {
 public:
  explicit Decoding(int sequences)
      : communicator_(group_.Join(0)),
        table_(kContext / kBlockSize + 1024),
        values_(std::size_t{kChunk} * 16) {
    std::iota(table_.begin(), table_.end(), 0);
    ShardContext context;
    ShardModel& model = context.options.model;
    model.layers = kLayers;
    model.query_heads = model.total_query_heads = 1;
    model.kv = {1, 8, 8, true, DType::kBF16};
    model.hidden_dim = 1;
    model.vocab_local = 2;
    model.block_size = kBlockSize;
    model.cache.assign(kLayers, {{page_.data(), kBlockSize * kRowBytes, kRowBytes, kRowBytes}, {}});
    context.options.quality_every = 0;
    context.communicator = communicator_.get();
    context.store = &store_;
    context.operations = MakeIdleOperations(&inside_ms_);
    shard_ = std::make_unique<ShardRuntime>(std::move(context));
    for (int s = 0; s < sequences; ++s) Prefill(s);
    sequences_ = sequences;
  }

  StageMs Step() { return Step(0, sequences_, 1); }
  std::uint64_t pages_recalled() const { return shard_->stats().pages_recalled; }

 private:
  void Prefill(int sequence) {
    SequenceOptions options;
    options.band = 0.2;
    Require(shard_->AddSequence(sequence, options));
    for (int read = 0; read < kContext; read += kChunk) Step(sequence, sequence + 1, kChunk);
    const std::vector<Shard::RoundEntry> entries = {
        {.sequence = static_cast<std::uint64_t>(sequence), .block_tables = {table_}}};
    Require(shard_->BeginRound(entries));
    const auto outcomes = shard_->CommitRound(entries);
    Require(outcomes.status());
    if (!outcomes.value().front().applied) {
      Require({StatusCode::kInternal, outcomes.value().front().kept_all_because});
    }
  }

  /// Of the sequences [first, end).
  StageMs Step(int first, int end, int tokens) {
    StageMs ms{};
    const auto timed = [&](Stage stage, auto call) {
      const double begin = ThreadMs() - inside_ms_;
      Require(call());
      ms[stage] += ThreadMs() - inside_ms_ - begin;
    };
    std::vector<StepEntry> entries;
    for (int s = first; s < end; ++s) {
      entries.push_back({static_cast<std::uint64_t>(s), tokens, {table_}});
    }
    const int all = tokens * (end - first);
    const std::span<const float> queries(values_.data(), std::size_t(all) * 8);
    const std::span<const float> one(values_.data(), all);
    timed(kBegin, [&] { return shard_->BeginStep(entries); });
    for (int l = 0; l < kLayers; ++l) {
      timed(l == 0 ? kFirstLayer : kLayersSeen, [&] { return shard_->ObserveQueries(l, queries); });
      timed(l == 0 ? kFirstLayer : kLayersSeen, [&] { return shard_->RecallLayer(l); });
      timed(kLayersSeen, [&] { return shard_->ObserveLogSumExps(l, one); });
      if (l + 1 == kLayers) store_.Deliver();
      timed(l + 1 < kLayers ? kLayersSeen : kScores, [&] { return shard_->ObserveHidden(l, one); });
    }
    timed(kScores, [&] {
      return shard_->ObserveLogits(0, all, std::span(values_.data(), std::size_t(all) * 2));
    });
    timed(kExchange, [&] { return shard_->ExchangeScores(); });
    timed(kEnd, [&] { return shard_->EndStep().status(); });
    return ms;
  }

  transport::LocalGroup group_{1};
  std::unique_ptr<transport::Communicator> communicator_;
  std::vector<std::byte> page_ = std::vector<std::byte>(kPageRows * kRowBytes);
  IdlePageStore store_{page_.size()};
  double inside_ms_ = 0.0;
  std::unique_ptr<ShardRuntime> shard_;
  std::vector<std::int32_t> table_;
  std::vector<float> values_;
  int sequences_ = 0;
};

void Run(int sequences, int steps) {
  constexpr int kSettling = 50;
  Decoding decoding(sequences);
  for (int i = 0; i < kSettling; ++i) decoding.Step();
  const std::uint64_t before = decoding.pages_recalled();
  std::array<std::vector<double>, kStages> stages;
  std::vector<double> all, waited;
  for (int i = 0; i < steps; ++i) {
    const StageMs ms = decoding.Step();
    for (int stage = 0; stage < kStages; ++stage) stages[stage].push_back(ms[stage]);
    all.push_back(std::accumulate(ms.begin(), ms.end(), 0.0));
    waited.push_back(ms[kBegin] + ms[kFirstLayer] + ms[kExchange] + ms[kEnd]);
  }
  std::printf("%d sequences, %llu pages a step\n", sequences,
              static_cast<unsigned long long>((decoding.pages_recalled() - before) / steps));
  for (int stage = 0; stage < kStages; ++stage) {
    std::printf("  %-16s %7.3f ms\n", kNames[stage], Median(stages[stage]));
  }
  std::printf("  %-16s %7.3f ms\n", "a step", Median(all));
  std::printf("  %-16s %7.3f ms\n", "device waits", Median(waited));
}

}  // namespace
}  // namespace pinboard::bench

int main(int argc, char** argv) {
  pinboard::bench::Run(argc > 1 ? std::atoi(argv[1]) : 34, argc > 2 ? std::atoi(argv[2]) : 200);
}
