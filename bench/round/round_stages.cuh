// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What a rank's device does in a round of some sequences: the launches, on data of its shapes.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "bench/round/rank.cuh"
#include "kernels/attention_score/attention_score_cuda.cuh"
#include "kernels/compact/compact_cuda.cuh"
#include "kernels/influence/influence_cuda.cuh"
#include "kernels/page_digest/page_digest_cuda.cuh"
#include "kernels/page_transfer/page_transfer_cuda.cuh"
#include "kernels/select/select_cuda.cuh"

namespace pinboard::bench {

/// Counts are of one layer of one sequence.
struct RoundShape {
  int sequences = 0;
  int rows = 0;        // attended before the round, the ring's first
  int ring_rows = 0;   // among them
  int new_tokens = 0;  // without E so far
  int keep = 0;
  kernels::SelectCounts select;
  int pages = 0;  // new ones, of which one of kRanks is this rank's to offload
  int fills = 0;  // of them, those that go to the ring

  int problems() const { return sequences * kLayers; }
};

/// After the prompt: all rows are new, and the ring is filled for the first time.
RoundShape AfterPrompt(int sequences);
/// After 128 tokens of decoding.
RoundShape WhileDecoding(int sequences);

/// Launches of a round's stages, in the order of a round. Rows that are kept and offloaded are
/// drawn, not those that Select classed: the host makes lists of them, which is not timed here.
class RoundStages {
 public:
  explicit RoundStages(const RoundShape& shape);
  ~RoundStages();
  RoundStages(const RoundStages&) = delete;
  RoundStages& operator=(const RoundStages&) = delete;

  absl::Status Score(cudaStream_t stream, bool has_log_sum_exp) const;
  /// E of the new tokens, and the totals that the fusion needs.
  absl::Status Inform(cudaStream_t stream) const;
  /// By the published fusion for what is kept, by E for the band.
  absl::Status Fuse(cudaStream_t stream) const;
  absl::Status Select(cudaStream_t stream) const;
  /// This rank's pages into pinned memory of the host.
  absl::Status Offload(cudaStream_t stream) const;
  absl::Status Digest(cudaStream_t stream) const;
  absl::Status Compact(cudaStream_t stream) const;
  /// Pages from the host into the ring.
  absl::Status FillRing(cudaStream_t stream) const;
  /// All but the ways to the host and back.
  absl::Status OnDevice(cudaStream_t stream) const;

  /// Ends the program where a launch refused its input, or a page did not verify.
  void Verify() const;

  Work score_work() const;
  Work fuse_work() const;
  Work select_work() const;
  Work digest_work() const;
  Work compact_work() const;
  double offloaded_bytes() const;
  double filled_bytes() const;

 private:
  template <typename T>
  T* Keep(T* device);
  void MakeScores();
  void MakeSelection();
  void MakePages();
  void MakeMoves();

  const RoundShape shape_;
  RankCache cache_;
  std::vector<void*> owned_;
  cuda::PinnedBuffer offloaded_;
  cuda::PinnedBuffer filled_;

  kernels::AttentionScoreBatch score_;
  std::byte* score_workspace_ = nullptr;
  std::int32_t* attention_ = nullptr;  // [problems, rows]
  kernels::InformationBatch information_;
  kernels::AddInformationBatch totals_;
  kernels::FuseBatch fuse_;  // for what is kept
  kernels::SelectBatch select_;
  std::byte* select_workspace_ = nullptr;
  kernels::PageGatherBatch gather_;
  kernels::PageScatterBatch scatter_;
  kernels::BuildDigestBatch digests_;
  kernels::CompactBatch compact_;
  std::byte* compact_workspace_ = nullptr;
};

}  // namespace pinboard::bench
