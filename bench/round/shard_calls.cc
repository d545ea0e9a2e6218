// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "bench/round/shard_calls.cuh"

#include <chrono>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/status_macros.h"
#include "bench/median.h"
#include "bench/round/rank.cuh"
#include "kernels/page_transfer/page_transfer.h"
#include "shard/operations/cuda_operations.h"

namespace pinboard::bench {
namespace {

constexpr std::size_t kPageBytes = kPageRows * kShape.RowBytes();
constexpr kernels::PageIdentity kIdentity{{1, 2, 3, 4}, 5};

/// Of seven runs after two that warm up.
double MedianWallMs(const std::function<absl::Status()>& run) {
  std::vector<double> times;
  for (int i = 0; i < 9; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    Require(run());
    const std::chrono::duration<double, std::milli> taken =
        std::chrono::steady_clock::now() - begin;
    if (i >= 2) times.push_back(taken.count());
  }
  return Median(std::move(times));
}

std::string Of(const char* what, int sequences) {
  return std::string(what) + ", " + std::to_string(sequences) + " sequences, shard calls";
}

std::unique_ptr<Operations> Make() {
  static cudaStream_t stream = [] {
    cudaStream_t made;
    Require(cudaStreamCreateWithFlags(&made, cudaStreamNonBlocking));
    return made;
  }();
  auto operations = MakeCudaOperations(stream);
  Require(operations.status());
  return *std::move(operations);
}

/// Some sequences' caches, and the operations that a shard has on them.
class ShardRank {
 public:
  ShardRank(int sequences, int rows)
      : problems_(kLayers * sequences),
        sequences_(sequences),
        rows_(UpTo(rows)),
        cache_(sequences, rows),
        operations_(Make()) {}
  ~ShardRank() { cache_.Free(); }
  ShardRank(const ShardRank&) = delete;
  ShardRank& operator=(const ShardRank&) = delete;

  int problems() const { return problems_; }
  int rows() const { return static_cast<int>(rows_.size()); }

  kernels::PageCopyArgs Layer(int problem) const {
    const int sequence = problem / kLayers % sequences_;
    return {cache_.layers[problem % kLayers], kShape, kBlockSize, cache_.tables[sequence]};
  }

  /// `on_device`: as large as `scores`.
  absl::Status ScorePages(const kernels::DigestView& digests, absl::Span<const float> queries,
                          absl::Span<std::int32_t> on_device, absl::Span<std::int32_t> scores) {
    const std::vector<std::int32_t> pages = UpTo(kBandPages);
    std::vector<PagesToScore> layers;
    for (int p = 0; p < problems_; ++p) {
      const auto own = queries.subspan(std::size_t(p / kLayers) * kQueryValues, kQueryValues);
      layers.push_back({{digests, kShape, pages, own, 1, kHeads, kTotalHeads, kScale},
                        on_device.subspan(std::size_t(p) * kBandPages, kBandPages)});
    }
    PB_RETURN_IF_ERROR(operations_->ScorePages(layers));
    PB_RETURN_IF_ERROR(operations_->Read(AsBytes(on_device), AsBytes(scores)));
    return operations_->Finish();
  }

  /// Of one page, in device memory.
  absl::Status ShowPages(int count, std::uint64_t tag, absl::Span<const std::byte> page) {
    const auto owner = std::make_shared<int>();
    std::vector<PageIn> pages;
    for (int i = 0; i < count; ++i) {
      pages.push_back({Layer(i), i / problems_ * kPageRows, kIdentity, tag, page, owner});
    }
    PB_RETURN_IF_ERROR(operations_->ScatterPages(pages));
    return operations_->Finish();
  }

  /// attention [problems, rows]: device memory.
  absl::Status ScoreRows(absl::Span<const float> queries, absl::Span<const float> log_sum_exp,
                         std::int32_t* attention) {
    const std::vector<std::int32_t> window(rows_.end() - kWindow, rows_.end());
    std::vector<RowsToScore> layers;
    for (int p = 0; p < problems_; ++p) {
      const kernels::PageCopyArgs layer = Layer(p);
      layers.push_back(
          {{layer.cache, kShape, kBlockSize, layer.block_table, rows_, kRingPages * kPageRows,
            rows_, queries, window, kHeads, kTotalHeads, kScale, kPool, log_sum_exp},
           {attention + p * rows_.size(), rows_.size()}});
    }
    PB_RETURN_IF_ERROR(operations_->AttentionScore(layers));
    return operations_->Finish();
  }

  /// `count` pages a layer, of which this rank offloads one of kRanks.
  absl::Status SealPages(int count, const DigestArrays& digests, absl::Span<std::byte> bytes) {
    const auto rows = absl::MakeConstSpan(rows_).subspan(kRingPages * kPageRows, count * kPageRows);
    const std::vector<std::int32_t> slots = UpTo(count);
    std::vector<std::uint64_t> tags(count);
    std::vector<PageOut> pages;
    std::vector<DigestsToBuild> layers;
    for (int p = 0; p < problems_; ++p) {
      layers.push_back({Layer(p), rows, slots, digests});
      for (int page = 0; page < count; ++page) {
        if ((p * count + page) % kRanks != 0) continue;
        pages.push_back({Layer(p), rows.subspan(page * kPageRows, kPageRows), kIdentity,
                         bytes.subspan(page * kPageBytes, kPageBytes), &tags[page]});
      }
    }
    PB_RETURN_IF_ERROR(operations_->GatherPages(pages));
    PB_RETURN_IF_ERROR(operations_->BuildDigests(layers));
    return operations_->Finish();
  }

  /// All rows behind the ring stay but one in 34.
  absl::Status Compact() {
    constexpr int kRing = kRingPages * kPageRows;
    std::vector<std::int32_t> kept;
    std::copy_if(rows_.begin() + kRing, rows_.end(), std::back_inserter(kept),
                 [](std::int32_t row) { return row % 34 != 0; });
    std::vector<kernels::CompactArgs> layers;
    for (int p = 0; p < problems_; ++p) {
      const kernels::PageCopyArgs layer = Layer(p);
      layers.push_back(
          {layer.cache, kShape, kBlockSize, layer.block_table, kept, kRing, kRing, {}});
    }
    PB_RETURN_IF_ERROR(operations_->Compact(layers));
    return operations_->Finish();
  }

 private:
  const int problems_;  // layers of sequences
  const int sequences_;
  const std::vector<std::int32_t> rows_;
  const RankCache cache_;
  const std::unique_ptr<Operations> operations_;
};

/// Of kBandPages pages of one layer: all layers of all sequences share them.
DigestArrays MakeDigests() {
  constexpr std::size_t kCentres = std::size_t{kBandPages} * kernels::kDigestCentres;
  std::vector<std::int8_t> steps(kCentres * kShape.key_dim);
  for (std::size_t i = 0; i < steps.size(); ++i) steps[i] = static_cast<std::int8_t>(i * 37 % 255);
  return {{Copy(steps), steps.size()},
          {Copy(std::vector<std::uint8_t>(kCentres, 8)), kCentres},
          {Copy(std::vector<float>(kBandPages, 0.02F)), kBandPages}};
}

}  // namespace

void AddShardStep(Report& report, int sequences, double churn) {
  ShardRank rank(sequences, kRingPages * kPageRows);
  static const DigestArrays digests = MakeDigests();
  const kernels::DigestView view{digests.centres, digests.counts, digests.step};
  const std::size_t values = static_cast<std::size_t>(sequences) * kQueryValues;
  float* const queries = Copy(Normals(values));
  std::vector<std::int32_t> scores(std::size_t(rank.problems()) * kBandPages);
  auto* const on_device = Allocate<std::int32_t>(scores.size());
  report.AddTime(Of("score pages", sequences), {}, MedianWallMs([&] {
                   return rank.ScorePages(view, {queries, values}, {on_device, scores.size()},
                                          absl::MakeSpan(scores));
                 }));
  const int shown = static_cast<int>(churn * kRingPages * rank.problems());
  const std::vector<std::byte> page(kPageBytes, std::byte{1});
  const std::byte* const arrived = Copy(page);
  const std::uint64_t tag = kernels::PageTag(page, kIdentity);
  report.AddTime(Of("show pages, 10 % churn", sequences), {}, MedianWallMs([&] {
                   return rank.ShowPages(shown, tag, {arrived, kPageBytes});
                 }));
  Require(cudaFree(queries));
  Require(cudaFree(on_device));
}

void AddShardRound(Report& report, int sequences) {
  ShardRank rank(sequences, kRingPages * kPageRows + kKept + 128);
  constexpr std::size_t kQueries = std::size_t{kWindow} * kHeads;
  float* const queries = Copy(Normals(kQueries * kShape.key_dim, kQueryDeviation));
  float* const log_sums = Copy(std::vector<float>(kQueries, 9.0F));
  auto* const attention = Allocate<std::int32_t>(std::size_t(rank.problems()) * rank.rows());
  const auto score = [&](absl::Span<const float> given) {
    return MedianWallMs([&] {
      return rank.ScoreRows({queries, kQueries * kShape.key_dim}, given, attention);
    });
  };
  report.AddTime(Of("attention of a decode round", sequences), {}, score({}));
  report.AddTime(Of("attention of a decode round, log-sum-exp given", sequences), {},
                 score({log_sums, kQueries}));
  constexpr int kPages = 3;
  static const DigestArrays digests = MakeDigests();
  const cuda::PinnedBuffer offloaded = Pinned(kPages * kPageBytes);
  report.AddTime(Of("gather and digest 3 pages a layer", sequences), {},
                 MedianWallMs([&] { return rank.SealPages(kPages, digests, offloaded.bytes()); }));
  report.AddTime(Of("compact", sequences), {}, MedianWallMs([&] { return rank.Compact(); }));
  Require(cudaFree(attention));
  for (float* const memory : {queries, log_sums}) Require(cudaFree(memory));
}

}  // namespace pinboard::bench
