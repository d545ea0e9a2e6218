// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Entropy of a token over its whole vocabulary, from logits that stay sharded: what the restricted
// entropy (kernels/entropy) approximates, and of three numbers a rank and token instead of k.
#pragma once

#include "absl/status/status.h"
#include "absl/types/span.h"

namespace pinboard::kernels {

/// Of some logits x of a token: the sums of exp(x - largest) and of (x - largest) exp(x - largest).
struct EntropyPart {
  double largest;  // finite; without a meaning where sum is 0
  double sum;      // 0: no logit above -inf; NaN: a logit is NaN or +inf
  double weighted;
};

/// parts[t] of the logits of token t. logits [tokens, vocab_local]; parts [tokens]. Host memory.
/// InvalidArgument: sizes that disagree.
absl::Status EntropyParts(absl::Span<const float> logits, int tokens, int vocab_local,
                          absl::Span<EntropyPart> parts);

/// entropy[t] in nats from all ranks' parts. parts [ranks, tokens]; entropy [tokens]. Joins in the
/// order of ranks, in double. InvalidArgument: sizes that disagree; a token without a finite logit,
/// with NaN or +inf.
absl::Status JoinedEntropy(absl::Span<const EntropyPart> parts, int ranks, int tokens,
                           absl::Span<float> entropy);

}  // namespace pinboard::kernels
