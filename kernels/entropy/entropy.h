// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// H: uncertainty of the model about a token, from logits that stay sharded over the vocabulary.
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "absl/types/span.h"

namespace pinboard::kernels {

/// The k largest logits of each row of this rank's vocabulary shard, descending, ties to the lower
/// id. logits [tokens, vocab_local]; values, ids [tokens, k]; ids are vocab_begin + column. Where
/// vocab_local < k the rest is -inf and id -1. Host memory.
absl::Status TopKLogits(absl::Span<const float> logits, int tokens, int vocab_local,
                        int vocab_begin, int k, absl::Span<float> values,
                        absl::Span<std::int32_t> ids);

enum class EntropyUnit : std::uint8_t { kNats, kOverLogK };

/// Merges the ranks' candidates: values [parts, tokens, k] as TopKLogits wrote them, in rank order.
/// entropy[t] = -sum p ln p over the k largest of the union, renormalised over those k
/// (docs/method.md section 2, H). Accumulates in double, in descending order: identical on every
/// rank.
absl::Status MergedEntropy(absl::Span<const float> values, int parts, int tokens, int k,
                           EntropyUnit unit, absl::Span<float> entropy);

}  // namespace pinboard::kernels
