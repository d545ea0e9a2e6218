// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/kernels/under_test/under_test.h"

namespace pinboard::kernels::under_test {

absl::Status Compact(const CompactArgs& args) { return kernels::Compact(args); }

absl::Status TopKLogits(absl::Span<const float> logits, int tokens, int vocab_local,
                        int vocab_begin, int k, absl::Span<float> values,
                        absl::Span<std::int32_t> ids) {
  return kernels::TopKLogits(logits, tokens, vocab_local, vocab_begin, k, values, ids);
}

absl::Status MergedEntropy(absl::Span<const float> values, int parts, int tokens, int k,
                           EntropyUnit unit, absl::Span<float> entropy) {
  return kernels::MergedEntropy(values, parts, tokens, k, unit, entropy);
}

absl::Status EntropyParts(absl::Span<const float> logits, int tokens, int vocab_local,
                          absl::Span<EntropyPart> parts) {
  return kernels::EntropyParts(logits, tokens, vocab_local, parts);
}

absl::Status JoinedEntropy(absl::Span<const EntropyPart> parts, int ranks, int tokens,
                           absl::Span<float> entropy) {
  return kernels::JoinedEntropy(parts, ranks, tokens, entropy);
}

absl::StatusOr<EvictedAttentionResult> EvictedAttention(const EvictedAttentionArgs& args) {
  return kernels::EvictedAttention(args);
}

absl::Status ExpectedAttention(const ExpectedAttentionArgs& args, absl::Span<std::int32_t> out) {
  return kernels::ExpectedAttention(args, out);
}

absl::Status Information(absl::Span<const float> shift, absl::Span<const float> entropy, double tau,
                         absl::Span<std::int32_t> out) {
  return kernels::Information(shift, entropy, tau, out);
}

void AddInformation(absl::Span<const std::int32_t> information, InformationTotals& totals) {
  totals.Add(information);
}

absl::Status Fuse(const FuseArgs& args, absl::Span<std::int64_t> score) {
  return kernels::Fuse(args, score);
}

absl::Status KeyRedundancy(const KeyRedundancyArgs& args, absl::Span<std::int32_t> out) {
  return kernels::KeyRedundancy(args, out);
}

absl::Status BuildDigest(const KvShape& shape, absl::Span<const std::byte> page,
                         const float* key_scales, const DigestSlot& digest) {
  return kernels::BuildDigest(shape, page, key_scales, digest);
}

absl::Status ScorePages(const PageScoreArgs& args, absl::Span<std::int32_t> out) {
  return kernels::ScorePages(args, out);
}

absl::StatusOr<std::uint64_t> PageGather(const PageCopyArgs& args,
                                         absl::Span<const std::int32_t> rows,
                                         const PageIdentity& identity, absl::Span<std::byte> page) {
  return kernels::PageGather(args, rows, identity, page);
}

absl::Status PageScatter(const PageCopyArgs& args, int first_row, const PageIdentity& identity,
                         std::uint64_t tag, absl::Span<const std::byte> page) {
  return kernels::PageScatter(args, first_row, identity, tag, page);
}

absl::Status ProjectionSketch(absl::Span<const float> hidden, absl::Span<const float> matrix,
                              int tokens, int dim, int width, absl::Span<float> sketch) {
  return kernels::ProjectionSketch(hidden, matrix, tokens, dim, width, sketch);
}

absl::Status RepresentationShift(absl::Span<const float> hidden,
                                 absl::Span<const float> final_hidden, int tokens, int dim,
                                 absl::Span<float> shift) {
  return kernels::RepresentationShift(hidden, final_hidden, tokens, dim, shift);
}

absl::Status Select(const SelectArgs& args, absl::Span<RowClass> classes) {
  return kernels::Select(args, classes);
}

}  // namespace pinboard::kernels::under_test
