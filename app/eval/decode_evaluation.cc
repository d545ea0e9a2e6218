// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "app/eval/decode_evaluation.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "absl/time/clock.h"
#include "base/status_macros.h"

namespace pinboard::app {

int DecodeEvaluation::CacheBlocksNeeded(absl::Span<const SuiteItem> items, int block_size) {
  return BlocksTogether(items, kContextsTogether, /*copies=*/1, block_size);
}

DecodeEvaluation::DecodeEvaluation(RankSession* session, std::vector<Arm> arms, int every,
                                   Progress progress)
    : Evaluation(std::move(arms), std::move(progress)),
      session_(session),
      meter_(session),
      every_(every) {}

absl::Status DecodeEvaluation::Measure(absl::Span<const SuiteItem> items) {
  references_.clear();
  for (const SuiteItem& item : items) {
    PB_RETURN_IF_ERROR(MeasureFull(item, &references_.emplace_back()));
  }
  for (std::size_t i = 0; i < arms_.size(); ++i) {
    if (!arms_[i].keeps_all) PB_RETURN_IF_ERROR(MeasureArm(items, arms_[i], &results_[i]));
    progress_(arms_[i], results_[i]);
  }
  return absl::OkStatus();
}

absl::Status DecodeEvaluation::MeasureFull(const SuiteItem& item, std::vector<float>* reference) {
  engine::Engine& engine = session_->engine();
  const std::uint64_t root = session_->NewSequence();
  const absl::Time start = absl::Now();
  PB_RETURN_IF_ERROR(engine.AddSequence(root, NeverCompressed(1)));
  PB_RETURN_IF_ERROR(session_->Prefill(root, item.context).status());
  PB_ASSIGN_OR_RETURN(*reference, meter_.Reference(root, item));
  prefill_seconds_ += absl::ToDoubleSeconds(absl::Now() - start);
  for (std::size_t i = 0; i < arms_.size(); ++i) {
    if (arms_[i].keeps_all) {
      const Decoding whole{&item, root, item.context.size()};
      PB_RETURN_IF_ERROR(
          Finish({&whole, 1}, {reference, 1}, arms_[i], session_->shard().stats(), &results_[i]));
    }
  }
  return engine.Remove(root);
}

absl::Status DecodeEvaluation::MeasureArm(absl::Span<const SuiteItem> items, const Arm& arm,
                                          ArmResult* result) {
  const absl::Time start = absl::Now();
  const ShardStats before = session_->shard().stats();
  PB_ASSIGN_OR_RETURN(std::vector<Decoding> decoded, Start(items, arm));
  std::vector<Decoding*> open;
  const auto close_done = [&open] {
    open.erase(
        std::remove_if(open.begin(), open.end(), [](const Decoding* one) { return one->done(); }),
        open.end());
  };
  for (Decoding& one : decoded) open.push_back(&one);
  for (close_done(); !open.empty(); close_done()) {
    PB_ASSIGN_OR_RETURN(const std::vector<Decoding*> fed, Step(open));
    PB_RETURN_IF_ERROR(Compress(fed, result));
  }
  PB_RETURN_IF_ERROR(Finish(decoded, references_, arm, before, result));
  for (const Decoding& one : decoded) {
    PB_RETURN_IF_ERROR(session_->engine().Remove(one.sequence));
  }
  result->seconds += absl::ToDoubleSeconds(absl::Now() - start);
  return absl::OkStatus();
}

absl::StatusOr<std::vector<DecodeEvaluation::Decoding>> DecodeEvaluation::Start(
    absl::Span<const SuiteItem> items, const Arm& arm) {
  std::vector<Decoding> decoding;
  for (const SuiteItem& item : items) {
    Decoding& one = decoding.emplace_back();
    one.item = &item;
    one.sequence = session_->NewSequence();
    one.fed = static_cast<std::size_t>(item.prompt_tokens);
    SequenceOptions options = arm.options;
    options.prompt_tokens = item.prompt_tokens;
    PB_RETURN_IF_ERROR(session_->engine().AddSequence(one.sequence, options));
    const auto prompt = absl::MakeConstSpan(item.context).first(one.fed);
    PB_RETURN_IF_ERROR(session_->Prefill(one.sequence, prompt).status());
  }
  return decoding;
}

absl::StatusOr<std::vector<DecodeEvaluation::Decoding*>> DecodeEvaluation::Step(
    absl::Span<Decoding* const> open) {
  std::vector<Decoding*> fed;
  std::vector<engine::StepInput> inputs;
  auto room = static_cast<std::size_t>(session_->max_step_tokens());
  for (Decoding* one : open) {
    const std::size_t until_round = every_ - one->generated() % every_;
    const std::size_t left = one->item->context.size() - one->fed;
    const std::size_t tokens =
        std::min(room, one->ring_rows > 0 ? std::size_t{1} : std::min(until_round, left));
    if (tokens == 0) break;
    room -= tokens;
    fed.push_back(one);
    inputs.push_back({.sequence = one->sequence,
                      .tokens = absl::MakeConstSpan(one->item->context).subspan(one->fed, tokens)});
    one->fed += tokens;
  }
  PB_RETURN_IF_ERROR(session_->Step(inputs).status());
  return fed;
}

absl::Status DecodeEvaluation::Compress(absl::Span<Decoding* const> fed, ArmResult* result) {
  engine::Engine& engine = session_->engine();
  std::vector<Decoding*> due;
  std::vector<std::uint64_t> sequences;
  for (Decoding* one : fed) {
    if (one->generated() % every_ != 0) continue;
    due.push_back(one);
    sequences.push_back(one->sequence);
  }
  if (due.empty()) return absl::OkStatus();
  PB_ASSIGN_OR_RETURN(const std::vector<RoundOutcome> outcomes, engine.Compress(sequences));
  for (std::size_t i = 0; i < due.size(); ++i) {
    if (!outcomes[i].applied) continue;
    ++result->rounds;
    result->borderline += outcomes[i].borderline;
    result->dropped += outcomes[i].dropped;
    due[i]->ring_rows = outcomes[i].ring;
  }
  return absl::OkStatus();
}

absl::Status DecodeEvaluation::Finish(absl::Span<const Decoding> decoded,
                                      absl::Span<const std::vector<float>> references,
                                      const Arm& arm, const ShardStats& before, ArmResult* result) {
  const engine::Engine& engine = session_->engine();
  const ShardStats compressed = session_->shard().stats();
  std::size_t resident_bytes = 0;
  std::vector<Asked> asked;
  for (std::size_t i = 0; i < decoded.size(); ++i) {
    const Decoding& one = decoded[i];
    asked.push_back({.sequence = one.sequence,
                     .item = one.item,
                     .options = arm.options,
                     .ring_rows = one.ring_rows,
                     .keeps_all = arm.keeps_all,
                     .reference = references[i],
                     .rounds_ago = RoundsAgoOf(*one.item)});
    resident_bytes += engine.ResidentKvBytes(one.sequence);
    result->kept += engine.TotalRows(one.sequence) - one.ring_rows;
    result->ring_rows += one.ring_rows / engine.config().layers;
    result->context_tokens += static_cast<std::int64_t>(one.item->context.size());
    ++result->contexts;
  }
  PB_RETURN_IF_ERROR(meter_.Ask(asked, result));
  return meter_.AddCounters(before, compressed, resident_bytes, result);
}

/// Rounds fall after every `every_` tokens behind the prompt.
std::vector<std::optional<int>> DecodeEvaluation::RoundsAgoOf(const SuiteItem& item) const {
  const auto rounds = [&](int tokens) { return std::max(0, tokens - item.prompt_tokens) / every_; };
  const int length = static_cast<int>(item.context.size());
  std::vector<std::optional<int>> ago;
  for (const Question& question : item.questions) {
    std::optional<int>& one = ago.emplace_back();
    if (question.tokens_ago == 0) continue;
    one = rounds(length) - rounds(length - question.tokens_ago);
  }
  return ago;
}

}  // namespace pinboard::app
