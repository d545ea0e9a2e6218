// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The operations as their tests call them: each is the CPU's or the device's implementation behind
// the CPU's contract, whichever the test is linked with. So one test source checks both. What the
// device alone adds (batches of many problems, other element types) its adapters put in.
#pragma once

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "kernels/compact/compact.h"
#include "kernels/entropy/entropy.h"
#include "kernels/evicted_attention/evicted_attention.h"
#include "kernels/expected_attention/expected_attention.h"
#include "kernels/full_entropy/full_entropy.h"
#include "kernels/influence/influence.h"
#include "kernels/key_redundancy/key_redundancy.h"
#include "kernels/page_digest/page_digest.h"
#include "kernels/page_transfer/page_transfer.h"
#include "kernels/projection_sketch/projection_sketch.h"
#include "kernels/representation_shift/representation_shift.h"
#include "kernels/select/select.h"

namespace pinboard::kernels::under_test {

absl::Status Compact(const CompactArgs& args);

absl::Status TopKLogits(absl::Span<const float> logits, int tokens, int vocab_local,
                        int vocab_begin, int k, absl::Span<float> values,
                        absl::Span<std::int32_t> ids);
absl::Status MergedEntropy(absl::Span<const float> values, int parts, int tokens, int k,
                           EntropyUnit unit, absl::Span<float> entropy);
absl::Status EntropyParts(absl::Span<const float> logits, int tokens, int vocab_local,
                          absl::Span<EntropyPart> parts);
absl::Status JoinedEntropy(absl::Span<const EntropyPart> parts, int ranks, int tokens,
                           absl::Span<float> entropy);

absl::StatusOr<EvictedAttentionResult> EvictedAttention(const EvictedAttentionArgs& args);

absl::Status ExpectedAttention(const ExpectedAttentionArgs& args, absl::Span<std::int32_t> out);

absl::Status Information(absl::Span<const float> shift, absl::Span<const float> entropy, double tau,
                         absl::Span<std::int32_t> out);
void AddInformation(absl::Span<const std::int32_t> information, InformationTotals& totals);
absl::Status Fuse(const FuseArgs& args, absl::Span<std::int64_t> score);

absl::Status KeyRedundancy(const KeyRedundancyArgs& args, absl::Span<std::int32_t> out);

absl::Status BuildDigest(const KvShape& shape, absl::Span<const std::byte> page,
                         const float* key_scales, const DigestSlot& digest);
absl::Status ScorePages(const PageScoreArgs& args, absl::Span<std::int32_t> out);

absl::StatusOr<std::uint64_t> PageGather(const PageCopyArgs& args,
                                         absl::Span<const std::int32_t> rows,
                                         const PageIdentity& identity, absl::Span<std::byte> page);
absl::Status PageScatter(const PageCopyArgs& args, int first_row, const PageIdentity& identity,
                         std::uint64_t tag, absl::Span<const std::byte> page);

absl::Status ProjectionSketch(absl::Span<const float> hidden, absl::Span<const float> matrix,
                              int tokens, int dim, int width, absl::Span<float> sketch);

absl::Status RepresentationShift(absl::Span<const float> hidden,
                                 absl::Span<const float> final_hidden, int tokens, int dim,
                                 absl::Span<float> shift);

absl::Status Select(const SelectArgs& args, absl::Span<RowClass> classes);

}  // namespace pinboard::kernels::under_test
