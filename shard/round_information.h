// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// E of the tokens since a sequence's last round (docs/method.md section 2).
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "shard/context.h"

namespace pinboard {

/// Enqueues E of the pending tokens in all layers as this rank knows it: out [layers, new tokens],
/// in the operations' memory.
absl::Status InformPending(const ShardContext& context, const SequenceState& state,
                           absl::Span<std::int32_t> out);

/// Of E of one layer's pending tokens leaves what this rank contributes to a sum over ranks.
void KeepOwnShare(const ShardContext& context, const SequenceState& state,
                  absl::Span<std::int32_t> information);

}  // namespace pinboard
