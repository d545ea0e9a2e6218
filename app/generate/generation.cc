// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "app/generate/generation.h"

#include <algorithm>
#include <numeric>
#include <optional>
#include <utility>

#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "pinboard/kv_layout.h"

namespace pinboard::app {
namespace {

/// The batch, and what becomes of each request.
class Generator {
 public:
  Generator(RankSession& session, absl::Span<const GenerationRequest> requests,
            const GenerationHandlers& handlers)
      : session_(session), requests_(requests), handlers_(handlers), start_(absl::Now()) {}

  absl::StatusOr<Generations> Run(const engine::BatchOptions& options) {
    PB_ASSIGN_OR_RETURN(const auto batcher,
                        engine::Batcher::Create(
                            &session_.engine(), &session_.shard(), options,
                            [this](const engine::StepOutput& output) { return Choose(output); }));
    batcher->SetHandlers({
        .on_token = [this](std::uint64_t id, std::int32_t token) { return OnToken(id, token); },
        .on_round = [this](const RoundOutcome& outcome) { OnRound(outcome); },
        .on_end = [this](std::uint64_t id) { OnEnd(id); },
    });
    for (const GenerationRequest& request : requests_) {
      const std::uint64_t id = session_.NewSequence();
      if (samplers_.empty()) first_sequence_ = id;
      samplers_.emplace_back(request.sampling);
      PB_RETURN_IF_ERROR(batcher->Submit({.sequence = id,
                                          .prompt = request.prompt,
                                          .max_tokens = request.max_tokens,
                                          .options = request.method}));
    }
    all_.made.resize(requests_.size());
    first_token_.resize(requests_.size(), start_);
    while (!batcher->idle()) {
      const std::int64_t before = batcher->stats().tokens;
      PB_RETURN_IF_ERROR(batcher->Step());
      PB_RETURN_IF_ERROR(failed_);
      session_.CountStep(static_cast<int>(batcher->stats().tokens - before));
    }
    all_.batch = batcher->stats();
    return std::move(all_);
  }

 private:
  std::size_t IndexOf(std::uint64_t sequence) const { return sequence - first_sequence_; }

  std::optional<std::int32_t> Choose(const engine::StepOutput& output) {
    const std::vector<std::int32_t>& ends = session_.engine().config().eos_ids;
    const std::size_t index = IndexOf(output.sequence);
    const std::int32_t id = samplers_[index].Next(output.candidates);
    Generation& made = all_.made[index];
    if (made.ids.empty()) first_token_[index] = absl::Now();
    if (std::find(ends.begin(), ends.end(), id) == ends.end()) return id;
    made.stop_reason = StopReason::kEndOfText;
    return std::nullopt;
  }

  bool OnToken(std::uint64_t sequence, std::int32_t token) {
    Generation& made = all_.made[IndexOf(sequence)];
    made.ids.push_back(token);
    const absl::StatusOr<bool> goes_on = handlers_.on_token(IndexOf(sequence), token);
    failed_.Update(goes_on.status());
    if (goes_on.ok() && *goes_on) return true;
    made.stop_reason = StopReason::kStopText;
    return false;
  }

  void OnRound(const RoundOutcome& outcome) {
    const std::size_t index = IndexOf(outcome.sequence);
    all_.made[index].rounds += outcome.applied ? 1 : 0;
    if (handlers_.on_round) failed_.Update(handlers_.on_round(index, outcome));
  }

  void OnEnd(std::uint64_t sequence) {
    const std::size_t index = IndexOf(sequence);
    const engine::Engine& engine = session_.engine();
    Generation& made = all_.made[index];
    made.length = engine.Length(sequence);
    made.rows = engine.Rows(sequence);
    made.kv_bytes = engine.ResidentKvBytes(sequence);
    made.prefill_seconds = absl::ToDoubleSeconds(first_token_[index] - start_);
    made.decode_seconds = absl::ToDoubleSeconds(absl::Now() - first_token_[index]);
  }

  RankSession& session_;
  const absl::Span<const GenerationRequest> requests_;
  const GenerationHandlers& handlers_;
  const absl::Time start_;
  std::uint64_t first_sequence_ = 0;
  std::vector<Sampler> samplers_;        // [requests]
  std::vector<absl::Time> first_token_;  // [requests]
  Generations all_;
  absl::Status failed_;  // of a handler
};

}  // namespace

const char* StopReasonName(StopReason reason) {
  switch (reason) {
    case StopReason::kEndOfText:
      return "end_of_text";
    case StopReason::kStopText:
      return "stop_text";
    case StopReason::kMaxTokens:
      return "max_tokens";
  }
  return "";
}

int CacheBlocksNeeded(absl::Span<const GenerationRequest> requests, int max_running,
                      int block_size) {
  std::vector<int> blocks;
  for (const GenerationRequest& request : requests) {
    const int tokens = static_cast<int>(request.prompt.size()) + request.max_tokens;
    blocks.push_back(BlocksFor(tokens, block_size));
  }
  std::sort(blocks.rbegin(), blocks.rend());
  blocks.resize(std::min(blocks.size(), static_cast<std::size_t>(max_running)));
  return std::accumulate(blocks.begin(), blocks.end(), 0);
}

absl::StatusOr<Generations> Generate(RankSession& session,
                                     absl::Span<const GenerationRequest> requests,
                                     const engine::BatchOptions& options,
                                     const GenerationHandlers& handlers) {
  return Generator(session, requests, handlers).Run(options);
}

}  // namespace pinboard::app
