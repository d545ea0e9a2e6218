// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "app/generate/generation.h"

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"
#include "base/status_macros.h"

namespace pinboard::app {
namespace {

/// One sequence and when it is compressed.
class Generator {
 public:
  Generator(RankSession& session, const GenerationOptions& options)
      : session_(session),
        options_(options),
        sampler_(options.sampling),
        sequence_(session.NewSequence()) {}

  absl::StatusOr<std::int32_t> Start(absl::Span<const std::int32_t> prompt) {
    SequenceOptions sequence = options_.sequence;
    sequence.prompt_tokens = static_cast<int>(prompt.size());
    PB_RETURN_IF_ERROR(session_.engine().AddSequence(sequence_, sequence));
    PB_ASSIGN_OR_RETURN(const engine::StepOutput output, session_.Prefill(sequence_, prompt));
    PB_RETURN_IF_ERROR(Compress());
    return sampler_.Next(output.candidates);
  }

  absl::StatusOr<std::int32_t> Next(std::int32_t id) {
    PB_ASSIGN_OR_RETURN(const auto outputs,
                        session_.Step({{.sequence = sequence_, .tokens = {&id, 1}}}));
    if (++tokens_since_round_ >= options_.round_every) {
      PB_RETURN_IF_ERROR(Compress());
    }
    return sampler_.Next(outputs.front().candidates);
  }

  absl::Status Finish(Generation* generation) {
    const engine::Engine& engine = session_.engine();
    generation->length = engine.Length(sequence_);
    generation->rows = static_cast<int>(engine.TotalRows(sequence_) / engine.config().layers);
    generation->kv_bytes = engine.ResidentKvBytes(sequence_);
    generation->rounds = rounds_;
    return session_.engine().Remove(sequence_);
  }

 private:
  absl::Status Compress() {
    PB_ASSIGN_OR_RETURN(const auto outcomes, session_.engine().Compress({sequence_}));
    rounds_ += outcomes.front().applied ? 1 : 0;
    tokens_since_round_ = 0;
    return absl::OkStatus();
  }

  RankSession& session_;
  const GenerationOptions& options_;
  Sampler sampler_;
  const std::uint64_t sequence_;
  int tokens_since_round_ = 0;
  int rounds_ = 0;
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

int CacheBlocksNeeded(std::size_t prompt_tokens, int max_tokens, int block_size) {
  return static_cast<int>((prompt_tokens + max_tokens + block_size - 1) / block_size);
}

absl::StatusOr<Generation> Generate(RankSession& session, absl::Span<const std::int32_t> prompt,
                                    const GenerationOptions& options, const OnToken& on_token) {
  const std::vector<std::int32_t>& ends = session.engine().config().eos_ids;
  Generation generation;
  Generator generator(session, options);
  const absl::Time start = absl::Now();
  PB_ASSIGN_OR_RETURN(std::int32_t id, generator.Start(prompt));
  const absl::Time prefilled = absl::Now();
  while (true) {
    if (std::find(ends.begin(), ends.end(), id) != ends.end()) {
      generation.stop_reason = StopReason::kEndOfText;
      break;
    }
    generation.ids.push_back(id);
    PB_ASSIGN_OR_RETURN(const bool go_on, on_token(id));
    if (!go_on) {
      generation.stop_reason = StopReason::kStopText;
      break;
    }
    if (static_cast<int>(generation.ids.size()) >= options.max_tokens) break;
    PB_ASSIGN_OR_RETURN(id, generator.Next(id));
  }
  generation.prefill_seconds = absl::ToDoubleSeconds(prefilled - start);
  generation.decode_seconds = absl::ToDoubleSeconds(absl::Now() - prefilled);
  PB_RETURN_IF_ERROR(generator.Finish(&generation));
  return generation;
}

}  // namespace pinboard::app
