// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "bench/round/round_stages.cuh"

#include <cmath>
#include <random>

#include "base/status_macros.h"
#include "kernels/page_transfer/page_transfer_tuning.h"

namespace pinboard::bench {
namespace {

constexpr std::size_t kPageBytes = kPageRows * kShape.RowBytes();

/// `count` of the rows [first, end), ascending.
std::vector<std::int32_t> Drawn(int first, int end, int count, std::mt19937_64& random) {
  std::vector<std::int32_t> rows;
  rows.reserve(count);
  for (int row = first; row < end; ++row) {
    const auto left = static_cast<std::uint64_t>(count - static_cast<int>(rows.size()));
    if (random() % static_cast<std::uint64_t>(end - row) < left) rows.push_back(row);
  }
  return rows;
}

kernels::PageIdentity Identity(int problem, int page) {
  const auto layer = static_cast<std::uint16_t>(problem % kLayers);
  return {{1, static_cast<std::uint32_t>(page), layer, 0}, 1};
}

std::vector<std::int64_t> FirstRows(const RoundShape& shape, int rows) {
  std::vector<std::int64_t> first;
  for (int p = 0; p <= shape.problems(); ++p) first.push_back(std::int64_t{p} * rows);
  return first;
}

}  // namespace

RoundShape AfterPrompt(int sequences) {
  constexpr int kBand = kBandPages * kPageRows;
  constexpr int kNear = kBand * 9 / 10;
  return {.sequences = sequences,
          .rows = kContext,
          .new_tokens = kContext,
          .keep = kKept,
          .select = {kKept, kNear, kBand - kNear},
          .pages = kBandPages,
          .fills = kRingPages};
}

RoundShape WhileDecoding(int sequences) {
  constexpr int kTokens = 128;
  constexpr int kKeptNow = kKept + kTokens / 10;
  constexpr int kPages = kTokens * 4 / 10 / kPageRows;
  return {.sequences = sequences,
          .rows = kRingPages * kPageRows + kKept + kTokens,
          .ring_rows = kRingPages * kPageRows,
          .new_tokens = kTokens,
          .keep = kKeptNow,
          .select = {kKeptNow, 0, kPages * kPageRows},
          .pages = kPages,
          .fills = kPages};
}

template <typename T>
T* RoundStages::Keep(T* device) {
  owned_.push_back(const_cast<std::remove_const_t<T>*>(device));
  return device;
}

RoundStages::RoundStages(const RoundShape& shape)
    : shape_(shape),
      cache_(shape.sequences, std::max(shape.rows, kRingPages * kPageRows + shape.keep)) {
  MakeScores();
  MakeSelection();
  MakePages();
  MakeMoves();
}

RoundStages::~RoundStages() {
  for (void* const memory : owned_) Require(cudaFree(memory));
  cache_.Free();
}

void RoundStages::MakeScores() {
  const int problems = shape_.problems();
  const auto total = static_cast<std::size_t>(problems) * shape_.rows;
  std::vector<std::int32_t> rows(total);
  for (std::size_t i = 0; i < total; ++i) rows[i] = static_cast<std::int32_t>(i % shape_.rows);
  const std::int32_t* const positions = Keep(Copy(rows));
  const std::int32_t* const order = Keep(Copy(rows));
  const std::uint16_t* const queries = Keep(
      Bf16Normals(static_cast<std::size_t>(problems) * kWindow * kQueryValues, kQueryDeviation));
  std::vector<std::int32_t> window(kWindow);
  for (int i = 0; i < kWindow; ++i) window[i] = shape_.rows - kWindow + i;
  const std::int32_t* const query_positions = Keep(Copy(window));
  const float log_sum = std::log(static_cast<float>(shape_.rows));
  const float* const log_sums =
      Keep(Copy(std::vector<float>(static_cast<std::size_t>(kWindow) * kHeads, log_sum)));
  attention_ = Keep(Allocate<std::int32_t>(total));
  std::vector<kernels::AttentionScoreProblem> all(problems);
  for (int p = 0; p < problems; ++p) {
    const std::size_t first = static_cast<std::size_t>(p) * shape_.rows;
    all[p] = {cache_.layers[p % kLayers],
              cache_.device_tables[p / kLayers],
              positions + first,
              order + first,
              queries + static_cast<std::size_t>(p) * kWindow * kQueryValues,
              query_positions,
              log_sums,
              attention_ + first,
              shape_.rows};
  }
  score_ = {.problems = Keep(Copy(all)),
            .count = problems,
            .most_rows = shape_.rows,
            .shape = kShape,
            .block_size = kBlockSize,
            .window = kWindow,
            .query_heads = kHeads,
            .total_query_heads = kTotalHeads,
            .scale = kScale,
            .pool = kPool,
            .faults = Keep(Faults())};
  score_workspace_ = Keep(Allocate<std::byte>(kernels::AttentionScoreWorkspaceBytes(score_)));
}

void RoundStages::MakeSelection() {
  const int problems = shape_.problems();
  const auto fresh = static_cast<std::size_t>(problems) * shape_.new_tokens;
  const auto total = static_cast<std::size_t>(problems) * shape_.rows;
  std::mt19937_64 random(3);
  std::uniform_real_distribution<float> shifts(0.0F, 1.0F);
  std::exponential_distribution<float> entropies(1.0F);
  std::vector<float> shift(fresh);
  std::vector<float> entropy(fresh);
  for (float& value : shift) value = shifts(random);
  for (float& value : entropy) value = std::min(entropies(random), 5.5F);
  // The old rows' E lies behind the new ones'.
  information_ = {.shift = Keep(Copy(shift)),
                  .entropy = Keep(Copy(entropy)),
                  .tau = 1.0,
                  .out = Keep(Copy(std::vector<std::int32_t>(total, 1 << 24))),
                  .faults = Keep(Faults()),
                  .tokens = static_cast<std::int64_t>(fresh)};
  totals_ = {.information = information_.out,
             .first = Keep(Copy(FirstRows(shape_, shape_.new_tokens))),
             .totals = Keep(Copy(std::vector<kernels::InformationTotals>(problems))),
             .problems = problems,
             .longest = shape_.new_tokens};
  fuse_ = {.rule = ScoreRule::kPublished,
           .attention = attention_,
           .information = information_.out,
           .totals = totals_.totals,
           .first_row = Keep(Copy(FirstRows(shape_, shape_.rows))),
           .score = Keep(Allocate<std::int64_t>(total)),
           .problems = problems,
           .longest = shape_.rows};
  std::vector<std::uint8_t> is_protected(total, 0);
  for (std::size_t i = 0; i < total; ++i) {
    is_protected[i] = i % shape_.rows < 4 || i % shape_.rows >= shape_.rows - std::size_t{kWindow};
  }
  select_ = {.keep_score = fuse_.score,
             .band_score = Keep(Allocate<std::int64_t>(total)),
             .is_protected = Keep(Copy(is_protected)),
             .first_row = fuse_.first_row,
             .counts = Keep(Copy(std::vector<kernels::SelectCounts>(problems, shape_.select))),
             .classes = Keep(Allocate<kernels::RowClass>(total)),
             .problems = problems,
             .total_rows = static_cast<std::int64_t>(total),
             .longest = shape_.rows};
  select_workspace_ =
      Keep(Allocate<std::byte>(kernels::SelectWorkspaceBytes(problems, select_.total_rows)));
}

void RoundStages::MakePages() {
  const int problems = shape_.problems();
  std::mt19937_64 random(4);
  std::vector<kernels::PageTransferLayer> layers(problems);
  std::vector<kernels::PageToGather> offloaded;
  std::vector<kernels::PageToScatter> filled;
  const std::size_t slots = static_cast<std::size_t>(problems) * shape_.pages;
  kernels::DeviceDigests digests{
      Keep(Allocate<std::int8_t>(slots * kernels::kDigestCentres * kShape.key_dim)),
      Keep(Allocate<std::uint8_t>(slots * kernels::kDigestCentres)), Keep(Allocate<float>(slots))};
  const std::int32_t* const slot = Keep(Copy(UpTo(shape_.pages)));
  std::vector<kernels::BuildDigestProblem> to_digest(problems);
  for (int p = 0; p < problems; ++p) {
    layers[p] = {cache_.layers[p % kLayers], cache_.device_tables[p / kLayers]};
    const std::vector<std::int32_t> rows =
        Drawn(shape_.ring_rows, shape_.rows, shape_.pages * kPageRows, random);
    for (int page = 0; page < shape_.pages; ++page) {
      if ((p * shape_.pages + page) % kRanks != 0) continue;
      offloaded.push_back({Identity(p, page), nullptr, p});
      std::copy_n(rows.begin() + page * kPageRows, kPageRows, offloaded.back().rows);
    }
    for (int fill = 0; fill < shape_.fills; ++fill) {
      filled.push_back({Identity(p, fill), 0, nullptr, p, fill * kPageRows});
    }
    const std::size_t first = static_cast<std::size_t>(p) * shape_.pages;
    to_digest[p] = {
        .cache = layers[p].cache,
        .block_table = layers[p].block_table,
        .rows = Keep(Copy(rows)),
        .slots = slot,
        .digests = {digests.centres + first * kernels::kDigestCentres * kShape.key_dim,
                    digests.counts + first * kernels::kDigestCentres, digests.step + first},
        .count = shape_.pages};
  }
  digests_ = {Keep(Copy(to_digest)), problems, shape_.pages, kShape, kBlockSize, Keep(Faults())};
  offloaded_ = Pinned(offloaded.size() * kPageBytes);
  for (std::size_t i = 0; i < offloaded.size(); ++i) {
    offloaded[i].bytes = offloaded_.bytes().data() + i * kPageBytes;
  }
  filled_ = Pinned(filled.size() * kPageBytes);
  for (std::size_t i = 0; i < filled.size(); ++i) {
    std::byte* const bytes = filled_.bytes().data() + i * kPageBytes;
    std::fill_n(bytes, kPageBytes, static_cast<std::byte>(i));
    filled[i].bytes = bytes;
    filled[i].tag = kernels::PageTag({bytes, kPageBytes}, filled[i].identity);
  }
  const kernels::PageTransferLayer* const all = Keep(Copy(layers));
  gather_ = {.layers = all,
             .pages = Keep(Copy(offloaded)),
             .tags = Keep(Allocate<std::uint64_t>(offloaded.size())),
             .count = static_cast<int>(offloaded.size()),
             .shape = kShape,
             .block_size = kBlockSize,
             .max_blocks = kernels::BlocksToHost(kPageBytes)};
  scatter_ = {.layers = all,
              .pages = Keep(Copy(filled)),
              .outcomes = Keep(Allocate<kernels::ScatterOutcome>(filled.size())),
              .count = static_cast<int>(filled.size()),
              .shape = kShape,
              .block_size = kBlockSize,
              .max_blocks = kernels::kBlocksFromHost};
}

void RoundStages::MakeMoves() {
  std::mt19937_64 random(5);
  std::vector<kernels::CompactProblem> problems(shape_.problems());
  for (int p = 0; p < shape_.problems(); ++p) {
    problems[p] = {
        .cache = cache_.layers[p % kLayers],
        .block_table = cache_.device_tables[p / kLayers],
        .source_rows = Keep(Copy(Drawn(shape_.ring_rows, shape_.rows, shape_.keep, random))),
        .count = shape_.keep,
        .first_row = kRingPages * kPageRows,
        .head_rows = shape_.ring_rows};
  }
  compact_ = {Keep(Copy(problems)), shape_.problems(), shape_.keep, kShape, kBlockSize};
  compact_workspace_ =
      Keep(Allocate<std::byte>(kernels::CompactWorkspaceBytes(shape_.problems(), shape_.keep)));
}

absl::Status RoundStages::Score(cudaStream_t stream, bool has_log_sum_exp) const {
  kernels::AttentionScoreBatch batch = score_;
  batch.has_log_sum_exp = has_log_sum_exp;
  return kernels::LaunchAttentionScore(batch, score_workspace_, stream);
}

absl::Status RoundStages::Inform(cudaStream_t stream) const {
  PB_RETURN_IF_ERROR(kernels::LaunchInformation(information_, stream));
  return kernels::LaunchAddInformation(totals_, stream);
}

absl::Status RoundStages::Fuse(cudaStream_t stream) const {
  PB_RETURN_IF_ERROR(kernels::LaunchFuse(fuse_, stream));
  kernels::FuseBatch band = fuse_;
  band.rule = ScoreRule::kInformation;
  band.score = const_cast<std::int64_t*>(select_.band_score);
  return kernels::LaunchFuse(band, stream);
}

absl::Status RoundStages::Select(cudaStream_t stream) const {
  return kernels::LaunchSelect(select_, select_workspace_, stream);
}

absl::Status RoundStages::Offload(cudaStream_t stream) const {
  return kernels::LaunchPageGather(gather_, stream);
}

absl::Status RoundStages::Digest(cudaStream_t stream) const {
  return kernels::LaunchBuildDigest(digests_, stream);
}

absl::Status RoundStages::Compact(cudaStream_t stream) const {
  return kernels::LaunchCompact(compact_, compact_workspace_, stream);
}

absl::Status RoundStages::FillRing(cudaStream_t stream) const {
  return kernels::LaunchPageScatter(scatter_, stream);
}

absl::Status RoundStages::OnDevice(cudaStream_t stream) const {
  PB_RETURN_IF_ERROR(Score(stream, true));
  PB_RETURN_IF_ERROR(Inform(stream));
  PB_RETURN_IF_ERROR(Fuse(stream));
  PB_RETURN_IF_ERROR(Select(stream));
  PB_RETURN_IF_ERROR(Digest(stream));
  return Compact(stream);
}

void RoundStages::Verify() const {
  RequireNone(score_.faults, "attention");
  RequireNone(information_.faults, "information");
  RequireNone(digests_.faults, "digests");
  RequireWritten(scatter_);
}

Work RoundStages::score_work() const {
  const double rows = 1.0 * shape_.problems() * shape_.rows;
  return {.bytes = rows * kShape.KeyBytes(), .matrix_flops = 2.0 * rows * kWindow * kQueryValues};
}
Work RoundStages::fuse_work() const { return {.bytes = 28.0 * shape_.problems() * shape_.rows}; }
Work RoundStages::select_work() const { return {.bytes = 18.0 * shape_.problems() * shape_.rows}; }
Work RoundStages::digest_work() const {
  return {.bytes = 1.0 * shape_.problems() * shape_.pages * kPageRows * kShape.KeyBytes()};
}
Work RoundStages::compact_work() const {
  return {.bytes = 2.0 * shape_.problems() * shape_.keep * kShape.RowBytes()};
}
double RoundStages::offloaded_bytes() const { return 1.0 * gather_.count * kPageBytes; }
double RoundStages::filled_bytes() const { return 1.0 * scatter_.count * kPageBytes; }

}  // namespace pinboard::bench
