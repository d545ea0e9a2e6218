// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "shard/make_sequence.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace pinboard {
namespace {

absl::StatusOr<scheduler::PolicySpec> ParsePolicy(const SequenceOptions& options, int top_k) {
  scheduler::MethodOptions method;
  PB_ASSIGN_OR_RETURN(method.fusion, scheduler::ParseFusion(options.fusion));
  method.alpha = options.alpha;
  method.near_share = options.near_share;
  method.tau = options.tau;
  method.window = options.window;
  method.seed = options.seed;
  method.align_at = options.align_at;
  method.entropy_over_log_k = options.entropy_over_log_k;
  method.top_k = top_k;
  return scheduler::MakePolicy(options.policy, method);
}

/// What a round keeps.
absl::Status SetBudget(const SequenceOptions& options, bool offload, SequenceState* state) {
  state->budget = {.budget = options.budget,
                   .band = options.band,
                   .recall_pages = options.recall_pages,
                   .offload = offload,
                   .of_generated = options.budget_of_generated,
                   .cap = options.cap};
  PB_RETURN_IF_ERROR(scheduler::Validate(state->budget));
  if (!offload) return absl::OkStatus();
  return scheduler::CheckPages(state->policy, state->budget.band, state->budget.recall_pages);
}

/// How it is spread over layers and heads.
absl::Status SetShares(const SequenceOptions& options, bool layer_tables, SequenceState* state) {
  state->layer_share = state->policy.layers;
  if (!options.layers.empty()) {
    PB_ASSIGN_OR_RETURN(state->layer_share, scheduler::ParseLayerShare(options.layers));
  }
  PB_ASSIGN_OR_RETURN(state->scope, scheduler::ParseKeepScope(options.scope));
  PB_RETURN_IF_ERROR(scheduler::CheckScope(state->policy, state->scope));
  return scheduler::CheckLayerShare(state->layer_share, state->scope, layer_tables);
}

/// When there are rounds and recalls.
absl::Status SetTriggers(const SequenceOptions& options, int layers, SequenceState* state) {
  state->trigger = {options.round_every, options.round_watermark};
  PB_RETURN_IF_ERROR(scheduler::Validate(state->trigger));
  PB_ASSIGN_OR_RETURN(state->recall_trigger, scheduler::ParseRecallTrigger(options.recall_when));
  PB_RETURN_IF_ERROR(scheduler::CheckRecallAhead(options.recall_ahead, layers));
  state->recall_ahead = options.recall_ahead;
  return absl::OkStatus();
}

/// That the shard sees what the policy looks at.
absl::Status CheckObserved(const scheduler::PolicySpec& policy, const ShardOptions& shard) {
  if (policy.queries == AttentionQueries::kAll && !shard.observe_all_queries) {
    return absl::FailedPreconditionError(
        absl::StrCat("policy ", policy.name, " looks at all queries: set observe_all_queries"));
  }
  if (policy.queries == AttentionQueries::kExpected && shard.model.rotary.frequencies.empty()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "policy ", policy.name, " turns queries ahead: the shard's model must name its rotary"));
  }
  if (policy.per_head && shard.backend != Backend::kCpu) {
    return absl::UnimplementedError(
        absl::StrCat("policy ", policy.name, " works on the CPU backend alone"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<SequenceState> MakeSequence(const ShardContext& context,
                                           const SequenceOptions& options) {
  const ShardModel& model = context.options.model;
  SequenceState state;
  PB_ASSIGN_OR_RETURN(state.policy, ParsePolicy(options, context.options.top_k));
  PB_RETURN_IF_ERROR(SetBudget(options, context.store != nullptr || options.observe, &state));
  PB_RETURN_IF_ERROR(SetShares(options, model.layer_tables, &state));
  PB_RETURN_IF_ERROR(SetTriggers(options, model.layers, &state));
  PB_RETURN_IF_ERROR(CheckObserved(state.policy, context.options));
  state.prompt_tokens = options.prompt_tokens;
  state.observe = options.observe;
  const int capacity =
      context.options.observe_all_queries ? QueryWindow::kUnlimited : state.policy.window;
  MemorySpace* const memory = context.operations->memory();
  state.layers.resize(model.layers);
  for (LayerState& layer : state.layers) {
    layer.queries = QueryWindow(memory, capacity, model.query_heads * model.kv.key_dim);
    layer.log_sum_exps = QueryWindow(memory, capacity, model.query_heads);
    layer.digests = DigestTable(memory, model.kv);
    layer.chosen_by = SpaceVector<float>(memory);
  }
  return state;
}

absl::StatusOr<SequenceState> MakeFork(const ShardContext& context, std::uint64_t from,
                                       const SequenceState& origin, int tokens,
                                       const SequenceOptions& options) {
  PB_ASSIGN_OR_RETURN(SequenceState fresh, MakeSequence(context, options));
  const scheduler::PolicySpec& policy = fresh.policy;
  const bool apart = origin.heads_apart && !policy.per_head && !policy.keeps_all();
  if (apart || (policy.per_head && origin.recalls())) {
    return absl::FailedPreconditionError(
        absl::StrCat("policy ", policy.name, " cannot go on from sequence ", from,
                     ", as its rounds left it: fork it before the first one"));
  }
  PB_ASSIGN_OR_RETURN(SequenceState state, Prefix(origin, tokens));
  state.policy = fresh.policy;
  state.budget = fresh.budget;
  state.layer_share = fresh.layer_share;
  state.scope = fresh.scope;
  state.trigger = fresh.trigger;
  if (fresh.recall_trigger.when != state.recall_trigger.when) state.recall_snapshot = {};
  state.recall_trigger = fresh.recall_trigger;
  state.recall_ahead = fresh.recall_ahead;
  state.prompt_tokens = fresh.prompt_tokens;
  state.observe = fresh.observe;
  const int capacity = state.policy.queries == AttentionQueries::kAll ? QueryWindow::kUnlimited
                                                                      : state.policy.window;
  for (LayerState& layer : state.layers) {
    PB_RETURN_IF_ERROR(layer.queries.SetCapacity(capacity));
    PB_RETURN_IF_ERROR(layer.log_sum_exps.SetCapacity(capacity));
  }
  state.in_round = false;
  state.generation = 0;
  state.has_published = false;
  return state;
}

}  // namespace pinboard
