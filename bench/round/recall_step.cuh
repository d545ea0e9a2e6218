// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What a rank's device does in a decode step to choose pages and to show those that were fetched.
#pragma once

#include <vector>

#include "absl/status/status.h"
#include "bench/round/rank.cuh"
#include "kernels/page_digest/page_digest_cuda.cuh"
#include "kernels/page_transfer/page_transfer_cuda.cuh"

namespace pinboard::bench {

/// Of a step of one token a sequence, with kBandPages digests and kRingPages ring pages a layer of
/// each.
class RecallStep {
 public:
  /// Up to `most_churn` of the ring's pages are shown anew.
  RecallStep(int sequences, double most_churn);
  ~RecallStep();
  RecallStep(const RecallStep&) = delete;
  RecallStep& operator=(const RecallStep&) = delete;

  /// Ends the program where a launch refused its input, or a page did not verify.
  void Verify() const {
    RequireNone(score_.faults, "page scores");
    RequireWritten(show_);
  }

  int pages(double churn) const;
  double page_bytes(double churn) const { return 1.0 * pages(churn) * PageBytes(); }
  Work score_work() const;

  /// The digests of all layers at once; layer by layer, as their queries come.
  absl::Status Score(cudaStream_t stream) const;
  absl::Status ScoreByLayer(cudaStream_t stream) const;
  /// Pages of pinned memory of the host to the device, as they come beside a step.
  absl::Status Fetch(cudaStream_t stream, double churn) const;
  /// Those into the rings, which a step waits for.
  absl::Status Show(cudaStream_t stream, double churn) const;

 private:
  static std::size_t PageBytes() { return kPageRows * kShape.RowBytes(); }
  template <typename T>
  T* Keep(T* device);
  void MakeDigests();
  void MakePages(int pages);

  const int sequences_;
  RankCache cache_;
  std::vector<void*> owned_;
  cuda::PinnedBuffer arrived_;
  kernels::ScorePagesBatch score_;  // problems: [layers, sequences]
  std::byte* workspace_ = nullptr;
  kernels::PageScatterBatch fetch_;
  kernels::PageScatterBatch show_;
};

}  // namespace pinboard::bench
