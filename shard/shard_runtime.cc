// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "shard/shard_runtime.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "base/public_status.h"
#include "base/status_macros.h"
#include "kernels/page_digest/page_digest.h"
#include "scheduler/policy/policy.h"
#include "scheduler/round_plan.h"
#include "shard/block_tables.h"
#include "shard/quality_signal.h"
#include "shard/round_apply.h"
#include "shard/round_export.h"
#include "shard/round_prepare.h"
#include "shard/round_vote.h"
#include "shard/shard_factory.h"
#include "shard/token_exchange.h"

namespace pinboard {
namespace {

template <typename T>
absl::Span<T> AsSpan(std::span<T> span) {
  return absl::Span<T>(span.data(), span.size());
}

absl::StatusOr<ScoreRule> ParseFusion(const std::string& fusion) {
  if (fusion == "published") return ScoreRule::kPublished;
  if (fusion == "max") return ScoreRule::kMaxNormalised;
  return absl::InvalidArgumentError(
      absl::StrCat("unknown fusion '", fusion, "': use published or max"));
}

absl::Status CheckModel(const ShardModel& model, int tp) {
  if (model.layers < 1 || model.query_heads < 1 || model.kv.kv_heads < 1 || model.kv.key_dim < 1 ||
      model.hidden_dim < 1 || model.vocab_local < 1 || model.kv_replicas < 1 ||
      model.block_size < kPageRows || model.block_size % kPageRows != 0) {
    return absl::InvalidArgumentError(
        "the shard's model has a dimension that is missing or not positive");
  }
  if (model.cache.size() != static_cast<std::size_t>(model.layers)) {
    return absl::InvalidArgumentError(absl::StrCat("the shard's model has ", model.layers,
                                                   " layers and ", model.cache.size(), " caches"));
  }
  if (tp % model.kv_replicas != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(model.kv_replicas, " KV replicas do not divide ", tp, " ranks"));
  }
  return absl::OkStatus();
}

}  // namespace

ShardRuntime::ShardRuntime(ShardContext context)
    : context_(std::move(context)),
      recorder_(&context_),
      fetcher_(context_.store),
      recall_(&context_, &fetcher_),
      recall_within_step_(&context_, &fetcher_) {}

absl::StatusOr<SequenceState> ShardRuntime::NewState(const SequenceOptions& options) const {
  scheduler::MethodOptions method;
  PB_ASSIGN_OR_RETURN(method.fusion, ParseFusion(options.fusion));
  method.alpha = options.alpha;
  method.near_share = options.near_share;
  method.tau = options.tau;
  method.window = options.window;
  method.seed = options.seed;
  method.align_at = options.align_at;
  method.entropy_over_log_k = options.entropy_over_log_k;
  method.top_k = context_.options.top_k;

  SequenceState state;
  PB_ASSIGN_OR_RETURN(state.policy, scheduler::MakePolicy(options.policy, method));
  state.budget = {.budget = options.budget,
                  .band = options.band,
                  .recall_pages = options.recall_pages,
                  .offload = context_.store != nullptr || options.observe,
                  .of_generated = options.budget_of_generated,
                  .cap = options.cap};
  PB_RETURN_IF_ERROR(scheduler::Validate(state.budget));
  if (state.budget.offload) {
    PB_RETURN_IF_ERROR(
        scheduler::CheckPages(state.policy, state.budget.band, state.budget.recall_pages));
  }
  state.layer_share = state.policy.layers;
  if (!options.layers.empty()) {
    PB_ASSIGN_OR_RETURN(state.layer_share, scheduler::ParseLayerShare(options.layers));
  }
  PB_ASSIGN_OR_RETURN(state.scope, scheduler::ParseKeepScope(options.scope));
  if (state.policy.per_head && state.scope == scheduler::KeepScope::kGlobal) {
    return absl::InvalidArgumentError(absl::StrCat(
        "policy ", state.policy.name, " keeps rows by KV head: one set for all layers is none"));
  }
  PB_RETURN_IF_ERROR(scheduler::CheckLayerShare(state.layer_share, state.scope,
                                                context_.options.model.layer_tables));
  state.trigger = {options.round_every, options.round_watermark};
  PB_RETURN_IF_ERROR(scheduler::Validate(state.trigger));
  PB_ASSIGN_OR_RETURN(state.recall_trigger, scheduler::ParseRecallTrigger(options.recall_when));
  if (options.recall_ahead < -1 || options.recall_ahead >= context_.options.model.layers) {
    return absl::InvalidArgumentError(absl::StrCat("recall_ahead is ", options.recall_ahead,
                                                   ": use 0 to ", context_.options.model.layers - 1,
                                                   " layers, or -1 for one step behind"));
  }
  state.recall_ahead = options.recall_ahead;
  if (state.policy.queries == AttentionQueries::kAll && !context_.options.observe_all_queries) {
    return absl::FailedPreconditionError(
        absl::StrCat("policy ", options.policy, " looks at all queries: set observe_all_queries"));
  }
  if (state.policy.queries == AttentionQueries::kExpected &&
      context_.options.model.rotary.frequencies.empty()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "policy ", options.policy, " turns queries ahead: the shard's model must name its rotary"));
  }
  state.prompt_tokens = options.prompt_tokens;
  state.observe = options.observe;
  const ShardModel& model = context_.options.model;
  const int capacity =
      context_.options.observe_all_queries ? QueryWindow::kUnlimited : state.policy.window;
  state.layers.resize(model.layers);
  for (LayerState& layer : state.layers) {
    layer.queries = QueryWindow(capacity, model.query_heads * model.kv.key_dim);
  }
  return state;
}

Status ShardRuntime::AddSequence(std::uint64_t sequence, const SequenceOptions& options) {
  if (context_.sequences.contains(sequence)) {
    return {StatusCode::kAlreadyExists, absl::StrCat("sequence ", sequence, " exists already")};
  }
  auto state = NewState(options);
  if (!state.ok()) return ToPublicStatus(state.status());
  state->generation = ++generations_;
  context_.sequences[sequence] = *std::move(state);
  return {};
}

Status ShardRuntime::ForkSequence(std::uint64_t from, std::uint64_t to,
                                  const SequenceOptions& options) {
  const auto parent = context_.sequences.find(from);
  if (parent == context_.sequences.end()) {
    return {StatusCode::kNotFound, absl::StrCat("sequence ", from, " was never added")};
  }
  if (context_.sequences.contains(to)) {
    return {StatusCode::kAlreadyExists, absl::StrCat("sequence ", to, " exists already")};
  }
  auto fresh = NewState(options);
  if (!fresh.ok()) return ToPublicStatus(fresh.status());
  SequenceState state = parent->second;
  const scheduler::PolicySpec& policy = fresh->policy;
  const bool apart = state.heads_apart && !policy.per_head && !policy.keeps_all();
  if (apart || (policy.per_head && state.recalls())) {
    return {StatusCode::kFailedPrecondition,
            absl::StrCat("policy ", policy.name, " cannot go on from sequence ", from,
                         ", as its rounds left it: fork it before the first one")};
  }
  state.policy = fresh->policy;
  state.budget = fresh->budget;
  state.layer_share = fresh->layer_share;
  state.scope = fresh->scope;
  state.trigger = fresh->trigger;
  if (fresh->recall_trigger.when != state.recall_trigger.when) state.recall_snapshot = {};
  state.recall_trigger = fresh->recall_trigger;
  state.recall_ahead = fresh->recall_ahead;
  state.prompt_tokens = fresh->prompt_tokens;
  state.observe = fresh->observe;
  const int capacity = state.policy.queries == AttentionQueries::kAll ? QueryWindow::kUnlimited
                                                                      : state.policy.window;
  for (LayerState& layer : state.layers) layer.queries = layer.queries.WithCapacity(capacity);
  state.in_round = false;
  state.generation = ++generations_;
  state.has_published = false;
  recall_.Fork(from, to, state);
  context_.sequences[to] = std::move(state);
  return {};
}

Status ShardRuntime::RemoveSequence(std::uint64_t sequence) {
  const auto found = context_.sequences.find(sequence);
  if (found == context_.sequences.end()) {
    return {StatusCode::kNotFound, absl::StrCat("sequence ", sequence, " was never added")};
  }
  if (found->second.in_round) {
    return {StatusCode::kFailedPrecondition,
            absl::StrCat("sequence ", sequence, " is in a round: commit it first")};
  }
  if (found->second.has_published) context_.store->DropSequence(sequence);
  if (context_.store != nullptr) recall_.Forget(sequence);
  context_.sequences.erase(found);
  return {};
}

int ShardRuntime::Rows(std::uint64_t sequence, int layer) const {
  const auto found = context_.sequences.find(sequence);
  return found == context_.sequences.end() ? 0 : found->second.layers[layer].rows();
}

int ShardRuntime::Length(std::uint64_t sequence) const {
  const auto found = context_.sequences.find(sequence);
  return found == context_.sequences.end() ? 0 : found->second.length;
}

std::vector<std::int32_t> ShardRuntime::RowPositions(std::uint64_t sequence, int layer) const {
  const auto found = context_.sequences.find(sequence);
  if (found == context_.sequences.end()) return {};
  return found->second.layers[layer].positions;
}

Status ShardRuntime::BeginStep(std::span<const StepEntry> entries) {
  if (absl::Status begun = recorder_.Begin(entries); !begun.ok()) return ToPublicStatus(begun);
  fetcher_.BeginStep(context_.options.max_fetch_pages_per_step);
  recall_.BeginStep(recorder_.slices());
  recall_within_step_.BeginStep();
  for (const StepSlice& slice : recorder_.slices()) {
    const absl::Status visible =
        recall_.MakeVisible(slice.entry.sequence, *slice.state, slice.entry.block_tables);
    if (!visible.ok()) return ToPublicStatus(visible);
  }
  return {};
}

Status ShardRuntime::ObserveQueries(int layer, std::span<const float> queries) {
  if (absl::Status seen = recorder_.Queries(layer, AsSpan(queries)); !seen.ok()) {
    return ToPublicStatus(seen);
  }
  if (absl::Status scored = recall_.Score(recorder_.slices(), layer, AsSpan(queries));
      !scored.ok()) {
    return ToPublicStatus(scored);
  }
  return ForeseeQueries(layer, layer, queries);
}

std::vector<int> ShardRuntime::LayersToForesee(int layer) const {
  return recall_within_step_.LayersToForesee(recorder_.slices(), layer);
}

Status ShardRuntime::ForeseeQueries(int layer, int later_layer, std::span<const float> queries) {
  return ToPublicStatus(
      recall_within_step_.Score(recorder_.slices(), layer, later_layer, AsSpan(queries)));
}

Status ShardRuntime::RecallLayer(int layer) {
  if (absl::Status shown = recall_within_step_.Recall(recorder_.slices(), layer); !shown.ok()) {
    return ToPublicStatus(shown);
  }
  return ToPublicStatus(SampleQuality(context_, recorder_.slices(), layer));
}

Status ShardRuntime::ObserveHidden(int layer, std::span<const float> hidden) {
  return ToPublicStatus(recorder_.Hidden(layer, AsSpan(hidden)));
}

Status ShardRuntime::ExchangeScores() {
  return ToPublicStatus(recall_.Exchange(recorder_.slices()));
}

Status ShardRuntime::ObserveLogits(int first_token, int tokens, std::span<const float> logits) {
  return ToPublicStatus(recorder_.Logits(first_token, tokens, AsSpan(logits)));
}

Result<std::vector<StepEntryResult>> ShardRuntime::EndStep() {
  return ToPublicResult(FinishStep());
}

absl::StatusOr<std::vector<StepEntryResult>> ShardRuntime::FinishStep() {
  const auto report = recall_.Report(recorder_.slices());
  PB_ASSIGN_OR_RETURN(TokenExchangeResult merged, ExchangeTokens(context_, recorder_, report));
  recall_.Resolve(recorder_.slices(), merged.reports, merged.entropy_after);
  std::vector<StepEntryResult> results;
  for (std::size_t i = 0; i < recorder_.slices().size(); ++i) {
    const StepSlice& slice = recorder_.slices()[i];
    const int last = slice.first_token + slice.entry.tokens - 1;
    results.push_back({std::move(merged.candidates[i]), merged.entropy_after[last]});
  }
  NoteWorkspace();
  recorder_.Finish(merged.entropy_after);
  return results;
}

std::vector<std::uint64_t> ShardRuntime::DueForRound(int used_blocks, int total_blocks) const {
  std::vector<std::uint64_t> due;
  for (const auto& [id, state] : context_.sequences) {
    if (state.policy.keeps_all() || state.in_round) continue;
    if (scheduler::IsDue(state.trigger, {.length = state.length,
                                         .length_at_round = state.length_at_round,
                                         .prompt_tokens = state.prompt_tokens,
                                         .used_blocks = used_blocks,
                                         .total_blocks = total_blocks})) {
      due.push_back(id);
    }
  }
  std::sort(due.begin(), due.end());
  return due;
}

Status ShardRuntime::BeginRound(std::span<const RoundEntry> entries) {
  return ToPublicStatus(Plan(entries));
}

absl::Status ShardRuntime::Plan(std::span<const RoundEntry> entries) {
  if (round_.has_value()) {
    return absl::FailedPreconditionError("a round is under way: commit it first");
  }
  absl::flat_hash_set<std::uint64_t> named;
  for (const RoundEntry& entry : entries) {
    if (!context_.sequences.contains(entry.sequence)) {
      return absl::NotFoundError("a round names a sequence that was never added");
    }
    if (!named.insert(entry.sequence).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("a round names sequence ", entry.sequence, " twice"));
    }
    PB_RETURN_IF_ERROR(CheckTables(context_.options.model, entry.sequence, entry.block_tables));
  }
  for (const RoundEntry& entry : entries) {
    PB_RETURN_IF_ERROR(recall_.MakeVisible(entry.sequence, context_.sequences.at(entry.sequence),
                                           entry.block_tables));
  }
  PB_ASSIGN_OR_RETURN(round_, PlanRound(context_, ++round_number_, entries));
  for (const RoundEntry& entry : entries) context_.sequences.at(entry.sequence).in_round = true;
  return absl::OkStatus();
}

/// Rings move again.
void ShardRuntime::EndRound() {
  for (const SequencePlan& plan : round_->sequences) {
    context_.sequences.at(plan.sequence).in_round = false;
  }
  round_.reset();
}

Result<std::vector<RoundOutcome>> ShardRuntime::CommitRound(std::span<const RoundEntry> entries) {
  return ToPublicResult(Commit(entries));
}

std::vector<PreparedSequence> ShardRuntime::Prepare(std::span<const RoundEntry> entries) {
  std::vector<PreparedSequence> prepared;
  for (std::size_t i = 0; round_->ready && i < entries.size(); ++i) {
    SequencePlan& plan = round_->sequences[i];
    if (context_.sequences.at(plan.sequence).observe) {
      prepared.emplace_back();
      continue;
    }
    auto one = PrepareSequence(context_, plan, entries[i].block_tables);
    if (!one.ok()) {
      round_->NotReady(one.status());
    } else {
      prepared.push_back(*std::move(one));
    }
  }
  return prepared;
}

absl::StatusOr<std::string> ShardRuntime::AgreeOnRound() {
  PB_ASSIGN_OR_RETURN(const Verdict verdict,
                      VoteOnRound(context_, round_->ready, round_->plan_hash));
  ++context_.stats.rounds;
  if (verdict.all_ready && verdict.plans_equal) return std::string();
  ++context_.stats.rounds_kept_all;
  if (!round_->ready) return round_->not_ready_because;
  if (!verdict.all_ready) return std::string("another rank was not ready");
  ++context_.stats.keepset_mismatches;
  return std::string("the ranks' plans differ");
}

absl::StatusOr<std::vector<RoundOutcome>> ShardRuntime::Commit(
    std::span<const RoundEntry> entries) {
  const auto same = [](const SequencePlan& plan, const RoundEntry& entry) {
    return plan.sequence == entry.sequence;
  };
  if (!round_.has_value() || !std::equal(round_->sequences.begin(), round_->sequences.end(),
                                         entries.begin(), entries.end(), same)) {
    return absl::FailedPreconditionError(
        "CommitRound without a BeginRound of the same sequences in the same order");
  }
  for (const RoundEntry& entry : entries) {
    PB_RETURN_IF_ERROR(CheckTables(context_.options.model, entry.sequence, entry.block_tables));
  }
  const absl::Cleanup end = [this] { EndRound(); };
  std::vector<PreparedSequence> prepared = Prepare(entries);
  PB_ASSIGN_OR_RETURN(const std::string kept_all_because, AgreeOnRound());
  std::vector<RoundOutcome> outcomes;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const SequencePlan& plan = round_->sequences[i];
    SequenceState& state = context_.sequences.at(plan.sequence);
    state.length_at_round = plan.length;
    RoundOutcome outcome;
    outcome.sequence = plan.sequence;
    outcome.plan_hash = round_->plan_hash;
    outcome.kept_all_because = kept_all_because;
    if (kept_all_because.empty() && plan.layers.empty()) {
      outcome.kept_all_because = "nothing to gain";
    } else if (kept_all_because.empty()) {
      if (context_.options.export_plans) outcome.plan = ExportPlan(state, plan);
      if (state.observe) outcome.kept_all_because = "only observed";
    }
    if (outcome.kept_all_because.empty()) {
      PB_RETURN_IF_ERROR(
          ApplyRound(context_, plan, std::move(prepared[i]), entries[i].block_tables, &outcome));
    }
    const int block_size = context_.options.model.block_size;
    for (std::size_t table = 0; table < entries[i].block_tables.size(); ++table) {
      const int rows = state.layers[table].rows();
      outcome.rows.push_back(rows);
      outcome.blocks.push_back((rows + block_size - 1) / block_size);
    }
    outcomes.push_back(std::move(outcome));
  }
  return outcomes;
}

void ShardRuntime::NoteWorkspace() {
  std::size_t bytes = recorder_.workspace_bytes();
  for (const auto& [id, state] : context_.sequences) {
    for (const LayerState& layer : state.layers) {
      bytes += layer.queries.bytes() + layer.pending_shift.capacity() * sizeof(float);
    }
    bytes += state.entropy_after.capacity() * sizeof(float);
  }
  context_.stats.workspace_bytes = std::max(context_.stats.workspace_bytes, bytes);
}

ShardStats ShardRuntime::stats() const {
  ShardStats stats = context_.stats;
  stats.collectives = context_.communicator->issued();
  for (const auto& [id, state] : context_.sequences) {
    for (const LayerState& layer : state.layers) {
      stats.digest_bytes += layer.digests.size() * kernels::DigestBytes(context_.options.model.kv);
    }
  }
  return stats;
}

absl::StatusOr<std::unique_ptr<Shard>> CreateShard(const ShardOptions& options,
                                                   transport::Communicator* communicator,
                                                   cache_service::PageStore* store) {
  PB_RETURN_IF_ERROR(CheckModel(options.model, communicator->size()));
  if (options.top_k < 2 || options.top_k > 512) {
    return absl::InvalidArgumentError(absl::StrCat("top_k is ", options.top_k, ": use 2 to 512"));
  }
  if (options.sketch_dim < 0 || options.sketch_dim > options.model.hidden_dim) {
    return absl::InvalidArgumentError(absl::StrCat("sketch_dim is ", options.sketch_dim,
                                                   ": use 0 (none) to ", options.model.hidden_dim,
                                                   ", the hidden states' dimension"));
  }
  if (options.quality_every < 0) {
    return absl::InvalidArgumentError(absl::StrCat("quality_every is ", options.quality_every,
                                                   ": use 0 (never) or a number of steps"));
  }
  ShardContext context;
  context.options = options;
  context.communicator = communicator;
  context.store = store;
  return std::make_unique<ShardRuntime>(std::move(context));
}

}  // namespace pinboard
