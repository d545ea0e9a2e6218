// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "bench/round/idle_operations.h"

#include <ctime>
#include <random>
#include <utility>
#include <vector>

namespace pinboard::bench {

double ThreadMs() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return 1e3 * static_cast<double>(now.tv_sec) + 1e-6 * static_cast<double>(now.tv_nsec);
}

namespace {

/// What has been started has been copied when it is asked for next.
class IdleIntake final : public PageIntake {
 public:
  explicit IdleIntake(std::size_t page_bytes)
      : bytes_(std::shared_ptr<std::byte[]>(new std::byte[page_bytes])) {}

  absl::Status Start(std::vector<Arrival> pages) override {
    for (const Arrival& page : pages) copies_.push_back({page.identity, {bytes_, bytes_.get()}});
    return absl::OkStatus();
  }
  absl::StatusOr<std::vector<Copy>> Poll() override { return std::exchange(copies_, {}); }
  absl::StatusOr<std::vector<Copy>> Wait() override { return Poll(); }

 private:
  const std::shared_ptr<std::byte[]> bytes_;  // of every copy, which hold a share of them
  std::vector<Copy> copies_;
};

class IdleOperations final : public Operations {
 public:
  explicit IdleOperations(double* inside_ms) : inside_ms_(inside_ms) {}

  MemorySpace* memory() override { return host_->memory(); }
  std::unique_ptr<PageIntake> MakePageIntake(std::size_t page_bytes) override {
    return std::make_unique<IdleIntake>(page_bytes);
  }
  absl::Status CopyAll(absl::Span<const FloatCopy>) override { return absl::OkStatus(); }
  absl::Status TopKLogits(absl::Span<const float>, int, int, int, int, absl::Span<float>,
                          absl::Span<std::int32_t>) override {
    return absl::OkStatus();
  }
  absl::Status MergedEntropy(absl::Span<const float>, int, int, int,
                             absl::Span<float> entropy) override {
    std::exponential_distribution<float> entropies(1.0F);
    for (float& value : entropy) value = std::min(entropies(random_), 5.5F);
    return absl::OkStatus();
  }
  absl::Status Read(absl::Span<const std::byte> from, absl::Span<std::byte> to) override {
    return host_->Read(from, to);
  }
  absl::Status Write(absl::Span<const std::byte> from, absl::Span<std::byte> to) override {
    return host_->Write(from, to);
  }
  absl::Status RepresentationShift(absl::Span<const float>, absl::Span<const float>, int, int,
                                   absl::Span<float> shift) override {
    std::uniform_real_distribution<float> shifts(0.0F, 1.0F);
    for (float& value : shift) value = shifts(random_);
    return absl::OkStatus();
  }
  absl::Status ProjectionSketch(absl::Span<const float>, int, int, int,
                                absl::Span<float>) override {
    return absl::OkStatus();
  }
  absl::Status ScorePages(absl::Span<const PagesToScore> layers) override {
    const Timer timer(inside_ms_);
    for (std::size_t l = 0; l < layers.size(); ++l) DrawScores(l, layers[l].out);
    return absl::OkStatus();
  }
  absl::Status EvictedAttention(const kernels::EvictedAttentionArgs&,
                                kernels::EvictedAttentionResult*) override {
    return absl::OkStatus();
  }
  absl::Status ScatterPages(absl::Span<const PageIn>) override { return absl::OkStatus(); }
  absl::Status AttentionScore(absl::Span<const RowsToScore> layers) override {
    const Timer timer(inside_ms_);
    for (const RowsToScore& layer : layers) {
      for (std::int32_t& share : layer.out) {
        share = static_cast<std::int32_t>(random_() >> 12U) * (random_() % 64 == 0 ? 16 : 1) / 16;
      }
    }
    return absl::OkStatus();
  }
  absl::Status ExpectedAttention(const kernels::ExpectedAttentionArgs&,
                                 absl::Span<std::int32_t>) override {
    return absl::OkStatus();
  }
  absl::Status KeyRedundancy(const kernels::KeyRedundancyArgs&, absl::Span<std::int32_t>) override {
    return absl::OkStatus();
  }
  absl::Status Information(const TokensToInform& tokens) override {
    const Timer timer(inside_ms_);
    return host_->Information(tokens);
  }
  absl::Status AddInformation(absl::Span<const std::int32_t> information,
                              absl::Span<const std::int64_t> first,
                              absl::Span<kernels::InformationTotals> totals) override {
    const Timer timer(inside_ms_);
    return host_->AddInformation(information, first, totals);
  }
  absl::Status Fuse(absl::Span<const RowsToFuse> layers, absl::Span<std::int64_t> keep_score,
                    absl::Span<std::int64_t> band_score) override {
    const Timer timer(inside_ms_);
    return host_->Fuse(layers, keep_score, band_score);
  }
  absl::Status Select(absl::Span<const RowsToSelect> layers,
                      absl::Span<const std::int64_t> keep_score,
                      absl::Span<const std::int64_t> band_score,
                      absl::Span<const std::uint8_t> is_protected,
                      absl::Span<kernels::RowClass> classes) override {
    const Timer timer(inside_ms_);
    return host_->Select(layers, keep_score, band_score, is_protected, classes);
  }
  absl::Status GatherPages(absl::Span<const PageOut> pages) override {
    for (const PageOut& page : pages) *page.tag = 0;
    return absl::OkStatus();
  }
  absl::Status BuildDigests(absl::Span<const DigestsToBuild>) override { return absl::OkStatus(); }
  absl::Status Compact(absl::Span<const kernels::CompactArgs>) override { return absl::OkStatus(); }
  absl::Status ReadRows(const kernels::PageCopyArgs&, absl::Span<const std::int32_t>,
                        absl::Span<std::byte>) override {
    return absl::OkStatus();
  }
  absl::Status Mark() override { return absl::OkStatus(); }
  absl::Status AwaitMark() override { return absl::OkStatus(); }
  absl::StatusOr<bool> HasReachedMark() override { return true; }
  absl::Status Finish() override { return absl::OkStatus(); }

 private:
  class Timer {
   public:
    explicit Timer(double* ms) : ms_(ms) {}
    ~Timer() { *ms_ += ThreadMs() - begin_; }

   private:
    double* ms_;
    double begin_ = ThreadMs();
  };

  /// A page has a share of its own, which varies a little from step to step.
  void DrawScores(std::size_t layer, absl::Span<std::int32_t> scores) {
    std::minstd_rand own(static_cast<std::uint32_t>(layer + 1));
    for (std::int32_t& score : scores) {
      score = static_cast<std::int32_t>((own() >> 11U) + (random_() >> 14U));
    }
  }

  double* inside_ms_;
  std::minstd_rand random_{7};
  std::unique_ptr<Operations> host_ = MakeHostOperations();
};

}  // namespace

std::unique_ptr<Operations> MakeIdleOperations(double* inside_ms) {
  return std::make_unique<IdleOperations>(inside_ms);
}

}  // namespace pinboard::bench
