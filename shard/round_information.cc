// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "shard/round_information.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace pinboard {
namespace {

/// H of the pending tokens, aligned as the policy asks.
std::vector<float> PendingEntropy(const SequenceState& state) {
  const auto first = state.entropy_after.begin() + (state.policy.method.align_at ? 1 : 0);
  std::vector<float> entropy(first, first + (state.length - state.merged_length));
  if (state.policy.method.entropy_over_log_k) {
    const float log_k = std::log(static_cast<float>(state.policy.method.top_k));
    for (float& value : entropy) value /= log_k;
  }
  return entropy;
}

}  // namespace

absl::Status InformPending(const ShardContext& context, const SequenceState& state,
                           absl::Span<std::int32_t> out) {
  std::vector<float> entropy = PendingEntropy(state);
  double tau = state.policy.method.tau;
  std::vector<float> no_shift;
  if (state.policy.information == InformationSignal::kEntropy) {
    no_shift.assign(entropy.size(), 0.0F);
    tau = 1.0;
  } else if (state.policy.information == InformationSignal::kShift) {
    std::fill(entropy.begin(), entropy.end(), 1.0F);
    tau = 0.0;
  }
  TokensToInform tokens{.entropy = entropy, .tau = tau, .out = out};
  for (const LayerState& layer : state.layers) {
    tokens.shift.push_back(no_shift.empty() ? layer.pending_shift : no_shift);
  }
  return context.operations->Information(tokens);
}

void KeepOwnShare(const ShardContext& context, const SequenceState& state,
                  absl::Span<std::int32_t> information) {
  int owner = state.merged_length % context.tp();
  for (std::int32_t& value : information) {
    if (owner != context.rank()) value = 0;
    owner = owner + 1 == context.tp() ? 0 : owner + 1;
  }
}

}  // namespace pinboard
