// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "bench/round/recall_step.cuh"

#include <cmath>
#include <cstring>
#include <type_traits>

#include "base/status_macros.h"
#include "kernels/page_transfer/page_transfer_tuning.h"

namespace pinboard::bench {

RecallStep::RecallStep(int sequences, double most_churn)
    : sequences_(sequences), cache_(sequences, kRingPages * kPageRows) {
  MakeDigests();
  MakePages(pages(most_churn));
}

RecallStep::~RecallStep() {
  for (void* const memory : owned_) Require(cudaFree(memory));
  cache_.Free();
}

template <typename T>
T* RecallStep::Keep(T* device) {
  owned_.push_back(const_cast<std::remove_const_t<T>*>(device));
  return device;
}

int RecallStep::pages(double churn) const {
  return static_cast<int>(std::lround(churn * kRingPages * kLayers * sequences_));
}

Work RecallStep::score_work() const {
  const double centres = 1.0 * kLayers * sequences_ * kBandPages * kernels::kDigestCentres;
  return {.bytes = centres * kShape.key_dim, .matrix_flops = 2.0 * centres * kQueryValues};
}

void RecallStep::MakeDigests() {
  constexpr std::size_t kSteps = std::size_t{kBandPages} * kernels::kDigestCentres * kShape.key_dim;
  std::mt19937_64 random(6);
  std::vector<std::int8_t> steps(kSteps);
  for (std::int8_t& step : steps) step = static_cast<std::int8_t>(random() % 255 - 127);
  const std::int8_t* const block = Copy(steps);
  const int problems = kLayers * sequences_;
  auto* const centres = Keep(Allocate<std::int8_t>(problems * kSteps));
  for (int p = 0; p < problems; ++p) {
    Require(cudaMemcpy(centres + p * kSteps, block, kSteps, cudaMemcpyDeviceToDevice));
  }
  Require(cudaFree(const_cast<std::int8_t*>(block)));
  const std::size_t slots = static_cast<std::size_t>(problems) * kBandPages;
  auto* const counts = Keep(Copy(std::vector<std::uint8_t>(slots * kernels::kDigestCentres, 8)));
  auto* const unit = Keep(Copy(std::vector<float>(slots, 0.02F)));
  const std::int32_t* const pages = Keep(Copy(UpTo(kBandPages)));
  const float* const queries =
      Keep(Copy(Normals(static_cast<std::size_t>(problems) * kQueryValues)));
  auto* const out = Keep(Allocate<std::int32_t>(slots));
  std::vector<kernels::ScorePagesProblem> all(problems);
  for (int p = 0; p < problems; ++p) {
    const std::size_t slot = static_cast<std::size_t>(p) * kBandPages;
    all[p] = {{centres + p * kSteps, counts + slot * kernels::kDigestCentres, unit + slot},
              pages,
              queries + static_cast<std::size_t>(p) * kQueryValues,
              out + slot,
              kBandPages};
  }
  score_ = {Keep(Copy(all)), problems, kBandPages, kShape, 1, kHeads, kTotalHeads, kScale};
  score_.faults = Keep(Faults());
  workspace_ = Keep(Allocate<std::byte>(kernels::ScorePagesWorkspaceBytes(score_)));
}

void RecallStep::MakePages(int pages) {
  arrived_ = Pinned(pages * PageBytes());
  auto* const flat = Keep(Allocate<std::byte>(pages * PageBytes()));
  std::vector<kernels::PageTransferLayer> rings;
  for (int p = 0; p < kLayers * sequences_; ++p) {
    rings.push_back({cache_.layers[p % kLayers], cache_.device_tables[p / kLayers]});
  }
  // Slot by slot through all rings, so that no two pages go to the same one.
  std::vector<kernels::PageToScatter> arrived(pages);
  for (int i = 0; i < pages; ++i) {
    std::byte* const bytes = arrived_.bytes().data() + i * PageBytes();
    std::memset(bytes, i, PageBytes());
    const kernels::PageIdentity identity{{1, static_cast<std::uint32_t>(i), 0, 0}, 1};
    arrived[i] = {identity, kernels::PageTag({bytes, PageBytes()}, identity), bytes, 0,
                  i * kPageRows};
  }
  std::vector<kernels::PageToScatter> shown = arrived;
  for (int i = 0; i < pages; ++i) {
    shown[i].bytes = flat + i * PageBytes();
    shown[i].layer = i % (kLayers * sequences_);
    shown[i].first_row = i / (kLayers * sequences_) * kPageRows;
  }
  // Flat memory is a cache whose blocks are pages.
  const auto row = static_cast<std::int64_t>(kShape.RowBytes());
  const kernels::PageTransferLayer as_cache{{{flat, kPageRows * row, row, row}, {}},
                                            Keep(Copy(UpTo(pages)))};
  fetch_ = {.layers = Keep(Copy(std::vector{as_cache})),
            .pages = Keep(Copy(arrived)),
            .outcomes = Keep(Allocate<kernels::ScatterOutcome>(pages)),
            .count = pages,
            .shape = kShape,
            .block_size = kPageRows,
            .max_blocks = kernels::kBlocksFromHost};
  show_ = {.layers = Keep(Copy(rings)),
           .pages = Keep(Copy(shown)),
           .outcomes = Keep(Allocate<kernels::ScatterOutcome>(pages)),
           .count = pages,
           .shape = kShape,
           .block_size = kBlockSize};
}

absl::Status RecallStep::Score(cudaStream_t stream) const {
  return kernels::LaunchScorePages(score_, workspace_, stream);
}

absl::Status RecallStep::ScoreByLayer(cudaStream_t stream) const {
  kernels::ScorePagesBatch layer = score_;
  layer.count = sequences_;
  for (int l = 0; l < kLayers; ++l, layer.problems += sequences_) {
    PB_RETURN_IF_ERROR(kernels::LaunchScorePages(layer, workspace_, stream));
  }
  return absl::OkStatus();
}

absl::Status RecallStep::Fetch(cudaStream_t stream, double churn) const {
  kernels::PageScatterBatch some = fetch_;
  some.count = pages(churn);
  return kernels::LaunchPageScatter(some, stream);
}

absl::Status RecallStep::Show(cudaStream_t stream, double churn) const {
  kernels::PageScatterBatch some = show_;
  some.count = pages(churn);
  return kernels::LaunchPageScatter(some, stream);
}

}  // namespace pinboard::bench
