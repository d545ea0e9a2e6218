// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "base/status_macros.h"
#include "kernels/entropy/entropy.h"
#include "kernels/paged_rows.h"
#include "kernels/projection_sketch/projection_sketch.h"
#include "kernels/representation_shift/representation_shift.h"
#include "shard/operations/operations.h"

namespace pinboard {
namespace {

/// The page number is of no concern to a digest.
constexpr kernels::PageIdentity kNoIdentity;

std::byte* CopyHeads(const KvPlane& plane, const kernels::PageCopyArgs& from, std::int32_t row,
                     std::size_t bytes, std::byte* to) {
  const std::size_t head_bytes = bytes / from.shape.kv_heads;
  for (int head = 0; head < from.shape.kv_heads; ++head) {
    std::memcpy(to, kernels::RowAddress(plane, from.block_table.data(), from.block_size, row, head),
                head_bytes);
    to += head_bytes;
  }
  return to;
}

class HostOperations final : public Operations {
 public:
  MemorySpace* memory() override { return HostMemory(); }
  std::unique_ptr<PageIntake> MakePageIntake(std::size_t page_bytes) override {
    return MakeHostPageIntake(page_bytes);
  }

  absl::Status CopyAll(absl::Span<const FloatCopy> copies) override {
    for (const FloatCopy& copy : copies) std::copy(copy.from.begin(), copy.from.end(), copy.to);
    return absl::OkStatus();
  }
  absl::Status TopKLogits(absl::Span<const float> logits, int tokens, int vocab_local,
                          int vocab_begin, int k, absl::Span<float> values,
                          absl::Span<std::int32_t> ids) override {
    return kernels::TopKLogits(logits, tokens, vocab_local, vocab_begin, k, values, ids);
  }
  absl::Status MergedEntropy(absl::Span<const float> values, int parts, int tokens, int k,
                             absl::Span<float> entropy) override {
    return kernels::MergedEntropy(values, parts, tokens, k, kernels::EntropyUnit::kNats, entropy);
  }
  absl::Status Read(absl::Span<const std::byte> from, absl::Span<std::byte> to) override {
    std::copy(from.begin(), from.end(), to.begin());
    return absl::OkStatus();
  }
  absl::Status Write(absl::Span<const std::byte> from, absl::Span<std::byte> to) override {
    return Read(from, to);
  }
  absl::Status RepresentationShift(absl::Span<const float> hidden,
                                   absl::Span<const float> final_hidden, int tokens, int dim,
                                   absl::Span<float> shift) override {
    return kernels::RepresentationShift(hidden, final_hidden, tokens, dim, shift);
  }
  absl::Status ProjectionSketch(absl::Span<const float> hidden, int tokens, int dim, int width,
                                absl::Span<float> sketch) override {
    if (sketch_matrix_.empty()) sketch_matrix_ = kernels::SketchMatrix(dim, width);
    return kernels::ProjectionSketch(hidden, sketch_matrix_, tokens, dim, width, sketch);
  }
  absl::Status ScorePages(absl::Span<const PagesToScore> layers) override {
    for (const PagesToScore& layer : layers) {
      PB_RETURN_IF_ERROR(kernels::ScorePages(layer.args, layer.out));
    }
    return absl::OkStatus();
  }
  absl::Status EvictedAttention(const kernels::EvictedAttentionArgs& args,
                                kernels::EvictedAttentionResult* out) override {
    PB_ASSIGN_OR_RETURN(*out, kernels::EvictedAttention(args));
    return absl::OkStatus();
  }
  absl::Status ScatterPages(absl::Span<const PageIn> pages) override {
    for (const PageIn& page : pages) {
      PB_RETURN_IF_ERROR(
          kernels::PageScatter(page.to, page.first_row, page.identity, page.tag, page.bytes));
    }
    return absl::OkStatus();
  }

  absl::Status AttentionScore(absl::Span<const RowsToScore> layers) override {
    for (const RowsToScore& layer : layers) {
      PB_RETURN_IF_ERROR(kernels::AttentionScore(layer.args, layer.out));
    }
    return absl::OkStatus();
  }
  absl::Status ExpectedAttention(const kernels::ExpectedAttentionArgs& args,
                                 absl::Span<std::int32_t> out) override {
    return kernels::ExpectedAttention(args, out);
  }
  absl::Status KeyRedundancy(const kernels::KeyRedundancyArgs& args,
                             absl::Span<std::int32_t> out) override {
    return kernels::KeyRedundancy(args, out);
  }
  absl::Status Information(const TokensToInform& tokens) override {
    absl::Span<std::int32_t> out = tokens.out;
    for (const absl::Span<const float> shift : tokens.shift) {
      PB_RETURN_IF_ERROR(
          kernels::Information(shift, tokens.entropy, tokens.tau, out.first(shift.size())));
      out.remove_prefix(shift.size());
    }
    return absl::OkStatus();
  }
  absl::Status AddInformation(absl::Span<const std::int32_t> information,
                              absl::Span<const std::int64_t> first,
                              absl::Span<kernels::InformationTotals> totals) override {
    for (std::size_t i = 0; i < totals.size(); ++i) {
      totals[i].Add(information.subspan(first[i], first[i + 1] - first[i]));
    }
    return absl::OkStatus();
  }
  absl::Status Fuse(absl::Span<const RowsToFuse> layers, absl::Span<std::int64_t> keep_score,
                    absl::Span<std::int64_t> band_score) override {
    std::size_t first = 0;
    for (const RowsToFuse& layer : layers) {
      kernels::FuseArgs args = layer.args;
      const std::size_t rows = args.information.size();
      PB_RETURN_IF_ERROR(kernels::Fuse(args, keep_score.subspan(first, rows)));
      args.rule = layer.band;
      PB_RETURN_IF_ERROR(kernels::Fuse(args, band_score.subspan(first, rows)));
      first += rows;
    }
    return absl::OkStatus();
  }
  absl::Status Select(absl::Span<const RowsToSelect> layers,
                      absl::Span<const std::int64_t> keep_score,
                      absl::Span<const std::int64_t> band_score,
                      absl::Span<const std::uint8_t> is_protected,
                      absl::Span<kernels::RowClass> classes) override {
    std::size_t first = 0;
    for (const RowsToSelect& layer : layers) {
      const std::size_t rows = layer.rows;
      PB_RETURN_IF_ERROR(
          kernels::Select({keep_score.subspan(first, rows), band_score.subspan(first, rows),
                           is_protected.subspan(first, rows), layer.keep, layer.near, layer.far},
                          classes.subspan(first, rows)));
      first += rows;
    }
    return absl::OkStatus();
  }
  absl::Status GatherPages(absl::Span<const PageOut> pages) override {
    for (const PageOut& page : pages) {
      PB_ASSIGN_OR_RETURN(*page.tag,
                          kernels::PageGather(page.from, page.rows, page.identity, page.bytes));
    }
    return absl::OkStatus();
  }
  absl::Status BuildDigests(absl::Span<const DigestsToBuild> layers) override {
    for (const DigestsToBuild& layer : layers) PB_RETURN_IF_ERROR(BuildOfLayer(layer));
    return absl::OkStatus();
  }
  absl::Status Compact(absl::Span<const kernels::CompactArgs> layers) override {
    for (const kernels::CompactArgs& layer : layers) PB_RETURN_IF_ERROR(kernels::Compact(layer));
    return absl::OkStatus();
  }
  absl::Status ReadRows(const kernels::PageCopyArgs& from, absl::Span<const std::int32_t> rows,
                        absl::Span<std::byte> bytes) override {
    std::byte* to = bytes.data();
    for (const std::int32_t row : rows) {
      to = CopyHeads(from.cache.key, from, row, from.shape.KeyBytes(), to);
      if (from.shape.value_in_key) continue;
      to = CopyHeads(from.cache.value, from, row, from.shape.ValueBytes(), to);
    }
    return absl::OkStatus();
  }

  absl::Status Mark() override { return absl::OkStatus(); }
  absl::Status AwaitMark() override { return absl::OkStatus(); }
  absl::StatusOr<bool> HasReachedMark() override { return true; }
  absl::Status Finish() override { return absl::OkStatus(); }

 private:
  static absl::Status BuildOfLayer(const DigestsToBuild& layer) {
    const KvShape& shape = layer.from.shape;
    const std::size_t heads = shape.kv_heads;
    const std::size_t centres = heads * kernels::kDigestCentres;
    const std::size_t values = centres * shape.key_dim;
    std::vector<std::byte> page(kernels::PageBytes(shape));
    for (std::size_t i = 0; i < layer.slots.size(); ++i) {
      const std::size_t slot = layer.slots[i];
      PB_RETURN_IF_ERROR(kernels::PageGather(layer.from,
                                             layer.rows.subspan(i * kPageRows, kPageRows),
                                             kNoIdentity, absl::MakeSpan(page))
                             .status());
      PB_RETURN_IF_ERROR(
          kernels::BuildDigest(shape, page, layer.from.cache.key.scales,
                               {layer.digests.centres.subspan(slot * values, values),
                                layer.digests.counts.subspan(slot * centres, centres),
                                layer.digests.step.subspan(slot * heads, heads)}));
    }
    return absl::OkStatus();
  }

  std::vector<float> sketch_matrix_;  // of a model's hidden states there is one
};

}  // namespace

std::unique_ptr<Operations> MakeHostOperations() { return std::make_unique<HostOperations>(); }

}  // namespace pinboard
