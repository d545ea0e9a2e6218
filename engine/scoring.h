// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Likelihood and divergence from logits that stay sharded over the vocabulary.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "transport/collective/communicator.h"

namespace pinboard::engine {

/// This rank's part of the vocabulary, and the group it shares it with (null: a group of one).
struct VocabularyShard {
  int begin = 0;
  int local = 0;
  transport::Communicator* communicator = nullptr;
  absl::Time deadline = absl::InfiniteFuture();
};

/// [collective: one all-gather of three doubles a token] -ln p(targets[t]) in nats, the same on
/// every rank, for logits [tokens, local] that predict targets [tokens]. Sums in double, ranks in
/// rank order. InvalidArgument: sizes disagree, or no rank holds a target.
absl::StatusOr<std::vector<double>> TokenNll(const VocabularyShard& shard,
                                             absl::Span<const float> logits,
                                             absl::Span<const std::int32_t> targets);

/// [collective: one all-gather of five doubles a token] KL(full || other) in nats per token, the
/// same on every rank; both [tokens, local].
absl::StatusOr<std::vector<double>> TokenKl(const VocabularyShard& shard,
                                            absl::Span<const float> full,
                                            absl::Span<const float> other);

}  // namespace pinboard::engine
