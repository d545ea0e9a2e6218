// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "bench/round/shard_calls.cuh"

#include <chrono>
#include <cstring>
#include <functional>

#include "base/status_macros.h"
#include "bench/round/rank.cuh"
#include "kernels/page_transfer/page_transfer.h"
#include "shard/operations/cuda_operations.h"

namespace pinboard::bench {
namespace {

constexpr std::size_t kPageBytes = kPageRows * kShape.RowBytes();

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
  std::nth_element(times.begin(), times.begin() + 3, times.end());
  return times[3];
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

/// Digests of kBandPages pages of one layer of one sequence: all layers share them.
struct Digests {
  Digests() {
    std::vector<std::int8_t> steps(std::size_t{kBandPages} * kernels::kDigestCentres *
                                   kShape.key_dim);
    for (std::size_t i = 0; i < steps.size(); ++i)
      steps[i] = static_cast<std::int8_t>(i * 37 % 255);
    view = {{Copy(steps), steps.size()},
            {Copy(std::vector<std::uint8_t>(kBandPages * kernels::kDigestCentres, 8)),
             kBandPages * kernels::kDigestCentres},
            {Copy(std::vector<float>(kBandPages, 0.02F)), kBandPages}};
  }
  kernels::DigestView view;
};

kernels::PageCopyArgs Layer(const RankCache& cache, int layer, int sequence) {
  return {cache.layers[layer], kShape, kBlockSize, cache.tables[sequence]};
}

}  // namespace

void AddShardStep(Report& report, int sequences, double churn) {
  const std::unique_ptr<Operations> operations = Make();
  static const Digests digests;
  const RankCache cache(sequences, kRingPages * kPageRows);
  const std::vector<std::int32_t> pages = UpTo(kBandPages);
  const std::size_t values = static_cast<std::size_t>(sequences) * kQueryValues;
  float* const queries = Copy(Normals(values));
  std::vector<std::vector<std::int32_t>> scores(kLayers * sequences,
                                                std::vector<std::int32_t>(kBandPages));
  report.AddTime(Of("score pages", sequences), {}, MedianWallMs([&] {
                   for (int l = 0; l < kLayers; ++l) {
                     for (int s = 0; s < sequences; ++s) {
                       PB_RETURN_IF_ERROR(operations->ScorePages(
                           {digests.view,
                            kShape,
                            pages,
                            {queries + std::size_t(s) * kQueryValues, kQueryValues},
                            1,
                            kHeads,
                            kTotalHeads,
                            kScale},
                           absl::MakeSpan(scores[l * sequences + s])));
                     }
                   }
                   return operations->Finish();
                 }));

  const int shown = static_cast<int>(churn * kRingPages * kLayers * sequences);
  const cuda::PinnedBuffer fetched = Pinned(kPageBytes);
  std::memset(fetched.bytes().data(), 1, kPageBytes);
  const kernels::PageIdentity identity{{1, 2, 3, 4}, 5};
  const std::uint64_t tag = kernels::PageTag(fetched.bytes(), identity);
  report.AddTime(Of("show pages, 10 % churn", sequences), {}, MedianWallMs([&] {
                   for (int i = 0; i < shown; ++i) {
                     const int slot = i / (kLayers * sequences);
                     PB_RETURN_IF_ERROR(operations->ScatterPage(
                         Layer(cache, i % kLayers, i / kLayers % sequences),
                         {slot * kPageRows, identity, tag, fetched.bytes()}));
                   }
                   return operations->Finish();
                 }));
  cache.Free();
  Require(cudaFree(queries));
}

void AddShardRound(Report& report, int sequences) {
  constexpr int kRing = kRingPages * kPageRows;
  constexpr int kRows = kRing + kKept + 128;
  const std::unique_ptr<Operations> operations = Make();
  const RankCache cache(sequences, kRows);
  const std::vector<std::int32_t> rows = UpTo(kRows);
  const std::vector<std::int32_t> window = [] {
    std::vector<std::int32_t> positions = UpTo(kWindow);
    for (std::int32_t& position : positions) position += kRows - kWindow;
    return positions;
  }();
  const std::size_t values = std::size_t{kWindow} * kQueryValues;
  float* const queries = Copy(Normals(values));
  float* const log_sums = Copy(std::vector<float>(std::size_t{kWindow} * kHeads, 9.0F));
  std::vector<std::vector<std::int32_t>> attention(kLayers * sequences,
                                                   std::vector<std::int32_t>(kRows));
  for (const bool given : {false, true}) {
    const char* const name =
        given ? "attention of a decode round, log-sum-exp given" : "attention of a decode round";
    report.AddTime(
        Of(name, sequences), {}, MedianWallMs([&] {
          for (int p = 0; p < kLayers * sequences; ++p) {
            kernels::AttentionScoreArgs args{cache.layers[p % kLayers],
                                             kShape,
                                             kBlockSize,
                                             cache.tables[p / kLayers],
                                             rows,
                                             kRing,
                                             rows,
                                             {queries, values},
                                             window,
                                             kHeads,
                                             kTotalHeads,
                                             kScale,
                                             kPool};
            if (given) args.log_sum_exp = {log_sums, std::size_t{kWindow} * kHeads};
            PB_RETURN_IF_ERROR(operations->AttentionScore(args, absl::MakeSpan(attention[p])));
          }
          return operations->Finish();
        }));
  }

  constexpr int kPages = 3;
  const cuda::PinnedBuffer offloaded = Pinned(kPages * kPageBytes);
  const std::vector<std::int32_t> page_rows(rows.begin() + kRing,
                                            rows.begin() + kRing + kPages * kPageRows);
  const DigestArrays arrays{
      {Allocate<std::int8_t>(kPages * kernels::kDigestCentres * kShape.key_dim),
       kPages * kernels::kDigestCentres * kShape.key_dim},
      {Allocate<std::uint8_t>(kPages * kernels::kDigestCentres), kPages * kernels::kDigestCentres},
      {Allocate<float>(kPages), kPages}};
  const std::vector<std::int32_t> slots = UpTo(kPages);
  std::vector<std::uint64_t> tags(kPages);
  report.AddTime(
      Of("gather and digest 3 pages a layer", sequences), {}, MedianWallMs([&] {
        for (int p = 0; p < kLayers * sequences; ++p) {
          const auto from = Layer(cache, p % kLayers, p / kLayers);
          std::vector<PageOut> out;
          for (int page = 0; page < kPages; ++page) {
            if ((p * kPages + page) % kRanks != 0) continue;
            out.push_back({absl::MakeConstSpan(page_rows).subspan(page * kPageRows, kPageRows),
                           {{1, 2, 3, 4}, 5},
                           offloaded.bytes().subspan(page * kPageBytes, kPageBytes),
                           &tags[page]});
          }
          PB_RETURN_IF_ERROR(operations->GatherPages(from, out));
          PB_RETURN_IF_ERROR(operations->BuildDigests(from, page_rows, slots, arrays));
        }
        return operations->Finish();
      }));

  std::vector<std::int32_t> kept;  // all behind the ring but one in 34
  for (int row = kRing; row < kRows; ++row) {
    if (row % 34 != 0) kept.push_back(row);
  }
  report.AddTime(Of("compact", sequences), {}, MedianWallMs([&] {
                   for (int p = 0; p < kLayers * sequences; ++p) {
                     PB_RETURN_IF_ERROR(operations->Compact({cache.layers[p % kLayers],
                                                             kShape,
                                                             kBlockSize,
                                                             cache.tables[p / kLayers],
                                                             kept,
                                                             kRing,
                                                             kRing,
                                                             {}}));
                   }
                   return operations->Finish();
                 }));
  cache.Free();
  for (float* const memory : {queries, log_sums}) Require(cudaFree(memory));
}

}  // namespace pinboard::bench
