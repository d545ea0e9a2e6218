// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "bench/round/whole_round.cuh"

#include <algorithm>
#include <chrono>
#include <memory>
#include <utility>
#include <vector>

#include "bench/median.h"
#include "bench/round/rank.cuh"
#include "bench/round/rank_rounds.h"
#include "shard/shard_factory.h"
#include "transport/collective/local/local_communicator.h"

namespace pinboard::bench {
namespace {

constexpr int kChunk = 1'024;
constexpr int kTokens = 128;  // from round to round
constexpr int kRounds = 9;
constexpr int kHidden = 16;
constexpr int kVocab = 64;

/// Of the pages of a group this rank offloads one in kRanks: so many slabs there are, all of them
/// the same piece of pinned memory.
class PinnedSlabs final : public cache_service::PageStore {
 public:
  absl::StatusOr<std::vector<cache_service::PageLease>> Lease(int count, std::size_t bytes,
                                                              absl::Time) override {
    if (slabs_.bytes().empty()) slabs_ = Pinned(kSlabs * bytes);
    std::vector<cache_service::PageLease> leases;
    for (int i = 0; i < count / kRanks; ++i) {
      leases.emplace_back(slabs_.bytes().subspan(i % kSlabs * bytes, bytes), i, nullptr);
    }
    return leases;
  }
  void Publish(std::vector<cache_service::PageLease>,
               absl::Span<const cache_service::PageHeader>) override {}
  void Fetch(absl::Span<const cache_service::PageRef>, absl::Time) override {}
  std::vector<cache_service::FetchResult> TakeFetched() override { return {}; }
  bool WaitFetched(absl::Time) override { return false; }
  void Drop(absl::Span<const cache_service::PageRef>) override {}
  void DropSequence(std::uint64_t) override {}
  cache_service::PageStoreStats stats() const override { return {}; }

 private:
  static constexpr std::size_t kSlabs = 8'192;
  cuda::PinnedBuffer slabs_;
};

/// Tables of sequences that have blocks of their own for what a round leaves them, and share those
/// of the rest of a prompt, which one of them reads at a time.
std::vector<std::vector<std::int32_t>> Tables(int sequences, int own, int shared) {
  std::vector<std::vector<std::int32_t>> tables(sequences);
  std::int32_t next = shared;
  for (auto& table : tables) {
    for (int i = 0; i < own; ++i) table.push_back(next++);
    for (int i = 0; i < shared; ++i) table.push_back(i);
  }
  return tables;
}

struct Times {
  double begin, commit;
};

bool TakeLess(const Times& a, const Times& b) { return a.begin + a.commit < b.begin + b.commit; }

double MsSince(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin)
      .count();
}

}  // namespace

void AddWholeRounds(Report& report, int sequences) {
  constexpr int kOwn =
      BlocksFor(kRingPages * kPageRows + kKept + (kRounds + 2) * kTokens, kBlockSize);
  constexpr int kShared = kContext / kBlockSize + 1 - kOwn;
  const RankCache cache(1, (kShared + sequences * kOwn) * kBlockSize);
  cudaStream_t stream;
  Require(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  ShardOptions options;
  options.backend = Backend::kCuda;
  options.stream = stream;
  options.top_k = 16;
  options.quality_every = 0;
  options.round_deadline_ms = 60'000;
  options.model.layers = kLayers;
  options.model.query_heads = kHeads;
  options.model.total_query_heads = kTotalHeads;
  options.model.kv = kShape;
  options.model.attention_scale = kScale;
  options.model.hidden_dim = kHidden;
  options.model.vocab_local = kVocab;
  options.model.block_size = kBlockSize;
  options.model.cache = cache.layers;
  transport::LocalGroup group(1);
  const auto communicator = group.Join(0);
  PinnedSlabs store;
  auto shard = CreateShard(options, communicator.get(), &store);
  Require(shard.status());

  const int tokens = std::max(kChunk, sequences * kTokens);
  std::vector<float*> owned;
  const auto tensor = [&](std::vector<float> values) {
    owned.push_back(Copy(values));
    return std::span<const float>(owned.back(), values.size());
  };
  const std::size_t all = tokens;
  const StepTensors tensors{tokens, tensor(Normals(all * kQueryValues, kQueryDeviation)),
                            tensor(std::vector<float>(all * kHeads, 10.5F)),
                            tensor(Normals(all * kHidden)), tensor(Normals(all * kVocab))};
  {
    RankRounds rounds(*std::move(shard), kLayers, Tables(sequences, kOwn, kShared), tensors);
    const auto measure = [&](int first, int end) {
      Require(cudaStreamSynchronize(stream));
      const auto start = std::chrono::steady_clock::now();
      rounds.Begin(first, end);
      const double begin = MsSince(start);
      rounds.Commit(first, end);
      return Times{begin, MsSince(start) - begin};
    };
    const auto add = [&](const std::string& what, const std::vector<Times>& times) {
      const Times median = Median(times, TakeLess);
      report.AddTime(what + ", as its caller waits for it", {}, median.begin + median.commit);
      report.AddTime("- to the plan", {}, median.begin);
      report.AddTime("- to its end", {}, median.commit);
    };
    std::vector<Times> times;
    for (int s = 0; s < sequences; ++s) {
      for (int read = 0; read < kContext; read += kChunk) rounds.Step(s, s + 1, kChunk);
      times.push_back(measure(s, s + 1));
    }
    add("round after the prompt, 1 sequence", times);
    times.clear();
    for (int round = 0; round < kRounds; ++round) {
      rounds.Step(0, sequences, kTokens);
      times.push_back(measure(0, sequences));
    }
    add("round while decoding, " + std::to_string(sequences) + " sequences", times);
  }
  Require(cudaStreamSynchronize(stream));
  Require(cudaStreamDestroy(stream));
  for (float* const memory : owned) Require(cudaFree(memory));
  cache.Free();
}

}  // namespace pinboard::bench
