// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Candidates of a vocabulary that is taken in chunks, so that its logits never lie in memory
// together.
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "absl/types/span.h"

namespace pinboard::kernels {

/// `values`, `ids` [tokens, k] become the k largest of themselves and of `more_values`, `more_ids`
/// [tokens, k]: both as TopKLogits (entropy.h) wrote them, from parts of the vocabulary that have
/// no column in common. The result is what TopKLogits gives for both parts at once, ties to the
/// lower id. So the candidates of a long prompt need room for the logits of one chunk: multiply the
/// hidden states by a chunk of the lm_head, take its k largest, merge, go on to the next chunk.
/// Host memory. InvalidArgument: sizes disagree.
absl::Status MergeTopK(absl::Span<const float> more_values, absl::Span<const std::int32_t> more_ids,
                       int tokens, int k, absl::Span<float> values, absl::Span<std::int32_t> ids);

}  // namespace pinboard::kernels
