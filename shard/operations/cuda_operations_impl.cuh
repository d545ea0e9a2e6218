// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The class behind MakeCudaOperations: its step in cuda_step_operations.cu, its round in
// cuda_round_operations.cu and cuda_choice_operations.cu.
#pragma once

#include <cuda_runtime_api.h>

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "base/cuda/pinned_buffer.h"
#include "base/cuda/pointer_kind.h"
#include "base/cuda/staging.h"
#include "base/cuda/stream_memory.h"
#include "base/status_macros.h"
#include "kernels/attention_score/attention_score_cuda.cuh"
#include "kernels/influence/influence_cuda.cuh"
#include "kernels/page_digest/page_digest_cuda.cuh"
#include "kernels/page_transfer/page_transfer_cuda.cuh"
#include "shard/operations/cuda_page_intake.cuh"
#include "shard/operations/operations.h"

namespace pinboard {

class CudaOperations final : public Operations {
 public:
  explicit CudaOperations(cudaStream_t stream) : memory_(stream), staging_(&memory_) {}
  /// Once, before anything else.
  absl::Status Prepare();

  MemorySpace* memory() override { return &memory_; }
  absl::Status CheckRows(const KvShape& shape, int block_size, bool has_pages) override;
  std::unique_ptr<PageIntake> MakePageIntake(std::size_t page_bytes) override {
    return MakeCudaPageIntake(page_bytes);
  }

  absl::Status CopyAll(absl::Span<const FloatCopy> copies) override;
  absl::Status TopKLogits(absl::Span<const float> logits, int tokens, int vocab_local,
                          int vocab_begin, int k, absl::Span<float> values,
                          absl::Span<std::int32_t> ids) override;
  absl::Status MergedEntropy(absl::Span<const float> values, int parts, int tokens, int k,
                             absl::Span<float> entropy) override;
  absl::Status Read(absl::Span<const std::byte> from, absl::Span<std::byte> to) override;
  absl::Status Write(absl::Span<const std::byte> from, absl::Span<std::byte> to) override;
  absl::Status RepresentationShift(absl::Span<const float> hidden,
                                   absl::Span<const float> final_hidden, int tokens, int dim,
                                   absl::Span<float> shift) override;
  absl::Status ProjectionSketch(absl::Span<const float> hidden, int tokens, int dim, int width,
                                absl::Span<float> sketch) override;
  absl::Status ScorePages(absl::Span<const PagesToScore> layers) override;
  absl::Status EvictedAttention(const kernels::EvictedAttentionArgs& args,
                                kernels::EvictedAttentionResult* out) override;
  absl::Status ScatterPages(absl::Span<const PageIn> pages) override;

  absl::Status AttentionScore(absl::Span<const RowsToScore> layers) override;
  absl::Status ExpectedAttention(const kernels::ExpectedAttentionArgs& args,
                                 absl::Span<std::int32_t> out) override;
  absl::Status KeyRedundancy(const kernels::KeyRedundancyArgs& args,
                             absl::Span<std::int32_t> out) override;
  absl::Status Information(const TokensToInform& tokens) override;
  absl::Status AddInformation(absl::Span<const std::int32_t> information,
                              absl::Span<const std::int64_t> first,
                              absl::Span<kernels::InformationTotals> totals) override;
  absl::Status Fuse(absl::Span<const RowsToFuse> layers, absl::Span<std::int64_t> keep_score,
                    absl::Span<std::int64_t> band_score) override;
  absl::Status Select(absl::Span<const RowsToSelect> layers,
                      absl::Span<const std::int64_t> keep_score,
                      absl::Span<const std::int64_t> band_score,
                      absl::Span<const std::uint8_t> is_protected,
                      absl::Span<kernels::RowClass> classes) override;
  absl::Status GatherPages(absl::Span<const PageOut> pages) override;
  absl::Status BuildDigests(absl::Span<const DigestsToBuild> layers) override;
  absl::Status Compact(absl::Span<const kernels::CompactArgs> layers) override;
  absl::Status ReadRows(const kernels::PageCopyArgs& from, absl::Span<const std::int32_t> rows,
                        absl::Span<std::byte> bytes) override;

  absl::Status Mark() override { return staging_.Mark(); }
  absl::Status AwaitMark() override { return staging_.AwaitMark(); }
  absl::StatusOr<bool> HasReachedMark() override { return staging_.HasReachedMark(); }
  absl::Status Finish() override;

 private:
  /// Who counts values that are not finite.
  enum Fault : std::uint8_t {
    kLogitsFault,
    kEntropyFault,
    kShiftFault,
    kSketchFault,
    kPageScoreFault,
    kEvictedFault,
    kAttentionFault,
    kExpectedFault,
    kRedundancyFault,
    kInformationFault,
    kDigestFault,
    kFaults
  };
  struct Tags {
    std::vector<std::uint64_t> values;
    std::vector<std::uint64_t*> to;
  };

  cudaStream_t stream() const { return memory_.stream(); }
  std::uint32_t* fault(Fault which) const {
    return reinterpret_cast<std::uint32_t*>(faults_.get()) + which;
  }
  /// Launches what reads uploads.
  template <typename LaunchFn>
  absl::Status Launch(LaunchFn launch) {
    PB_RETURN_IF_ERROR(staging_.Flush());
    return launch();
  }
  /// Of layers whose queries are as many tokens each.
  absl::Status ScorePagesBy(int tokens, absl::Span<const PagesToScore* const> layers);
  /// Of as many as one launch takes.
  absl::Status ScorePagesTogether(int tokens, absl::Span<const PagesToScore* const> layers,
                                  kernels::ScorePagesBatch batch);
  /// Where a launch scores pages: the same for all of them, which follow each other on the stream.
  absl::StatusOr<std::byte*> PageScoringRoom(const kernels::ScorePagesBatch& batch);
  absl::StatusOr<kernels::AttentionScoreProblem> UploadRows(const RowsToScore& layer);
  absl::Status ScoreRows(absl::Span<const RowsToScore* const> layers);
  using Signal = absl::Span<const std::int32_t> kernels::FuseArgs::*;
  /// One signal of all layers, each at its first row; null where no layer has it. From the host.
  absl::StatusOr<const std::int32_t*> UploadSignal(absl::Span<const RowsToFuse> layers,
                                                   absl::Span<const std::int64_t> first,
                                                   Signal signal);
  /// The same of one that lies in memory().
  absl::StatusOr<const std::int32_t*> JoinSignal(absl::Span<const RowsToFuse> layers,
                                                 absl::Span<const std::int64_t> first,
                                                 Signal signal);
  /// Launches for layers one behind the other that are fused alike.
  absl::Status FuseBy(ScoreRule (*rule_of)(const RowsToFuse&), absl::Span<const RowsToFuse> layers,
                      const kernels::FuseBatch& all);
  void HandOut();
  absl::Status ClearFaults();
  /// What the launches since the last Finish refused.
  absl::Status Faults();

  cuda::StreamMemory memory_;
  cuda::Staging staging_;
  std::shared_ptr<std::byte> page_scoring_;
  std::size_t page_scoring_bytes_ = 0;
  std::shared_ptr<std::byte> faults_;  // [kFaults] of uint32, on the device
  cuda::PinnedBuffer fault_counts_;    // likewise, as they were at the last Finish
  // Since the last Finish: where results are written to, and where they go.
  std::deque<Tags> tags_;
  std::deque<std::vector<kernels::ScatterOutcome>> outcomes_;
  std::vector<std::shared_ptr<const void>> owners_;  // of pages that are scattered
};

/// The layers of a batch of pages, each once where its pages follow each other.
class TransferLayers {
 public:
  explicit TransferLayers(cuda::Staging* staging) : staging_(staging) {}

  /// Its index.
  absl::StatusOr<std::int32_t> Add(const kernels::PageCopyArgs& layer) {
    const bool is_other_table = layers_.empty() || layer.block_table.data() != table_;
    if (is_other_table) {
      PB_ASSIGN_OR_RETURN(on_device_, staging_->Upload(layer.block_table));
      table_ = layer.block_table.data();
    }
    if (is_other_table || layer.cache.key.base != layers_.back().cache.key.base) {
      layers_.push_back({layer.cache, on_device_});
    }
    return static_cast<std::int32_t>(layers_.size()) - 1;
  }
  absl::StatusOr<const kernels::PageTransferLayer*> Upload() const {
    return staging_->Upload(absl::MakeConstSpan(layers_));
  }

 private:
  cuda::Staging* staging_;
  std::vector<kernels::PageTransferLayer> layers_;
  const std::int32_t* table_ = nullptr;  // the last one's, on the host
  const std::int32_t* on_device_ = nullptr;
};

/// A view of the host's kind, as launches take it, which write to what it only reads.
inline kernels::DeviceDigests OnDevice(const kernels::DigestView& view) {
  return {const_cast<std::int8_t*>(view.centres.data()),
          const_cast<std::uint8_t*>(view.counts.data()), const_cast<float*>(view.step.data())};
}

}  // namespace pinboard
