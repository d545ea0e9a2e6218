// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "shard/shard_runtime.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/public_status.h"
#include "base/status_macros.h"
#include "kernels/page_digest/page_digest.h"
#include "shard/make_sequence.h"

namespace pinboard {
namespace {

template <typename T>
absl::Span<T> AsSpan(std::span<T> span) {
  return absl::Span<T>(span.data(), span.size());
}

}  // namespace

ShardRuntime::ShardRuntime(ShardContext context)
    : context_(std::move(context)),
      recorder_(&context_),
      exchange_(&context_),
      fetcher_(context_.store,
               context_.operations->MakePageIntake(kernels::PageBytes(context_.options.model.kv))),
      recall_(&context_, &fetcher_),
      recall_within_step_(&context_, &fetcher_),
      quality_(&context_),
      rounds_(&context_, &recall_) {}

Status ShardRuntime::AddSequence(std::uint64_t sequence, const SequenceOptions& options) {
  if (context_.sequences.contains(sequence)) {
    return {StatusCode::kAlreadyExists, absl::StrCat("sequence ", sequence, " exists already")};
  }
  auto state = MakeSequence(context_, options);
  if (!state.ok()) return ToPublicStatus(state.status());
  state->generation = ++generations_;
  context_.sequences[sequence] = *std::move(state);
  return {};
}

Status ShardRuntime::ForkSequence(std::uint64_t from, std::uint64_t to, int tokens,
                                  const SequenceOptions& options) {
  const auto origin = context_.sequences.find(from);
  if (origin == context_.sequences.end()) {
    return {StatusCode::kNotFound, absl::StrCat("sequence ", from, " was never added")};
  }
  if (context_.sequences.contains(to)) {
    return {StatusCode::kAlreadyExists, absl::StrCat("sequence ", to, " exists already")};
  }
  recall_.DecideAll();
  auto state = MakeFork(context_, from, origin->second, tokens, options);
  if (!state.ok()) return ToPublicStatus(state.status());
  state->generation = ++generations_;
  recall_.Fork(from, to, *state);
  context_.sequences[to] = *std::move(state);
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
  recall_.DecideAll();
  if (found->second.has_published) context_.store->DropSequence(sequence);
  if (context_.store != nullptr) recall_.Forget(sequence);
  context_.sequences.erase(found);
  return {};
}

int ShardRuntime::Rows(std::uint64_t sequence, int layer) const {
  const auto found = context_.sequences.find(sequence);
  return found == context_.sequences.end() ? 0 : found->second.layers[layer].rows();
}

int ShardRuntime::RingRows(std::uint64_t sequence, int layer) const {
  const auto found = context_.sequences.find(sequence);
  return found == context_.sequences.end() ? 0 : found->second.layers[layer].ring_rows();
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
  // Results of a step that failed half-way go to memory that this one uses.
  if (std::exchange(results_due_, true)) context_.operations->Finish().IgnoreError();
  if (absl::Status begun = recorder_.Begin(entries); !begun.ok()) return ToPublicStatus(begun);
  fetcher_.BeginStep(context_.options.max_fetch_pages_per_step);
  recall_.BeginStep(recorder_.slices());
  recall_within_step_.BeginStep();
  return {};
}

Status ShardRuntime::ObserveQueries(int layer, std::span<const float> queries) {
  if (absl::Status seen = recorder_.Queries(layer, AsSpan(queries)); !seen.ok()) {
    return ToPublicStatus(seen);
  }
  if (absl::Status observed = recall_.Observe(recorder_.slices(), layer, AsSpan(queries));
      !observed.ok()) {
    return ToPublicStatus(observed);
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
  if (absl::Status shown = recall_.MakeVisibleFor(recorder_.slices(), layer); !shown.ok()) {
    return ToPublicStatus(shown);
  }
  if (absl::Status shown = recall_within_step_.Recall(recorder_.slices(), layer); !shown.ok()) {
    return ToPublicStatus(shown);
  }
  return ToPublicStatus(quality_.Sample(recorder_.slices(), layer));
}

Status ShardRuntime::ObserveLogSumExps(int layer, std::span<const float> log_sum_exps) {
  return ToPublicStatus(recorder_.LogSumExps(layer, AsSpan(log_sum_exps)));
}

Status ShardRuntime::ObserveHidden(int layer, std::span<const float> hidden) {
  if (absl::Status seen = recorder_.Hidden(layer, AsSpan(hidden)); !seen.ok()) {
    return ToPublicStatus(seen);
  }
  if (layer + 1 < context_.options.model.layers) return {};
  return ToPublicStatus(recall_.Score(recorder_.slices()));
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
  PB_RETURN_IF_ERROR(exchange_.Begin(recorder_));
  PB_RETURN_IF_ERROR(context_.operations->Finish());
  results_due_ = false;
  quality_.Collect();
  PB_ASSIGN_OR_RETURN(TokenExchangeResult merged, exchange_.Complete(recorder_, recall_.report()));
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
  return rounds_.Due(used_blocks, total_blocks);
}

std::vector<int> ShardRuntime::PlannedRows(std::uint64_t sequence) const {
  return rounds_.PlannedRows(sequence);
}

Status ShardRuntime::BeginRound(std::span<const RoundEntry> entries) {
  return ToPublicStatus(rounds_.Begin(entries));
}

Result<std::vector<RoundOutcome>> ShardRuntime::CommitRound(std::span<const RoundEntry> entries) {
  return ToPublicResult(rounds_.Commit(entries));
}

void ShardRuntime::NoteWorkspace() {
  std::size_t bytes = recorder_.workspace_bytes();
  for (const auto& [id, state] : context_.sequences) {
    for (const LayerState& layer : state.layers) {
      bytes += layer.queries.bytes() + layer.log_sum_exps.bytes() +
               layer.pending_shift.capacity() * sizeof(float);
    }
    bytes += state.entropy_after.capacity() * sizeof(float);
  }
  context_.stats.workspace_bytes = std::max(context_.stats.workspace_bytes, bytes);
}

ShardStats ShardRuntime::stats() const {
  ShardStats stats = context_.stats;
  stats.collectives = context_.communicator->issued();
  const PageFetcher::Failures& failures = fetcher_.failures();
  stats.fetches_absent = failures.absent;
  stats.fetches_unavailable = failures.unavailable;
  stats.fetches_late = failures.late;
  stats.fetches_corrupt = failures.corrupt;
  stats.fetches_unplaced = failures.unplaced;
  for (const auto& [id, state] : context_.sequences) {
    for (const LayerState& layer : state.layers) {
      stats.digest_bytes += layer.digests.size() * kernels::DigestBytes(context_.options.model.kv);
    }
  }
  return stats;
}

}  // namespace pinboard
