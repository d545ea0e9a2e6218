// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "app/report/results_json.h"

#include <nlohmann/json.hpp>

namespace pinboard::app {
namespace {

using Json = nlohmann::ordered_json;

Json Ratio(double sum, std::int64_t count) {
  return count > 0 ? Json(sum / static_cast<double>(count)) : Json(nullptr);
}

Json Ratio(std::int64_t sum, std::int64_t count) { return Ratio(static_cast<double>(sum), count); }

Json RoundsAgoKeys(const ArmResult& r) {
  Json keys = Json::array();
  for (const auto& [rounds, group] : r.by_rounds_ago) keys.push_back(rounds);
  return keys;
}

Json RoundsAgoRecall(const ArmResult& r) {
  Json shares = Json::array();
  for (const auto& [rounds, group] : r.by_rounds_ago) {
    shares.push_back(Ratio(group.correct, group.questions));
  }
  return shares;
}

Json RoundsAgoQuestions(const ArmResult& r) {
  Json counts = Json::array();
  for (const auto& [rounds, group] : r.by_rounds_ago) counts.push_back(group.questions);
  return counts;
}

Json ObjectOf(const EvalResults& run, const Arm& arm, const ArmResult& r, double budget) {
  return Json{
      {"policy", arm.policy},
      {"budget", budget},
      {"band", arm.options.band},
      {"recall_pages", arm.options.recall_pages},
      {"tp", run.tp},
      {"questions", r.questions},
      {"recall", Ratio(r.correct, r.questions)},
      {"nll", Ratio(r.nll_sum, r.nll_tokens)},
      {"kl", Ratio(r.kl_sum, r.kl_tokens)},
      {"resident_kv_bytes", Ratio(r.resident_kv_bytes, r.contexts)},
      {"digest_bytes", Ratio(r.digest_bytes, r.contexts)},
      {"workspace_bytes", Ratio(r.workspace_bytes, r.contexts)},
      {"kept", Ratio(r.kept, r.contexts)},
      {"borderline", Ratio(r.borderline, r.contexts)},
      {"dropped", Ratio(r.dropped, r.contexts)},
      {"pages_offloaded", r.pages_offloaded},
      {"pages_recalled", r.pages_recalled},
      {"bytes_offloaded", r.bytes_offloaded},
      {"bytes_recalled", r.bytes_recalled},
      {"misses", r.misses},
      {"waits", r.waits},
      {"keepset_mismatches", r.keepset_mismatches},
      {"seconds", r.seconds},
      {"fusion", arm.options.fusion},
      {"alpha", arm.options.alpha},
      {"near_share", arm.options.near_share},
      {"tau", arm.options.tau},
      {"window", arm.options.window},
      {"seed", arm.options.seed},
      {"cap", arm.options.cap},
      {"layers", arm.options.layers},
      {"scope", arm.options.scope},
      {"tables", run.tables},
      {"of_generated", arm.options.budget_of_generated},
      {"mode", run.round_every > 0 ? "decode" : "prefill"},
      {"every", run.round_every},
      {"rounds", Ratio(r.rounds, r.contexts)},
      {"rounds_ago", RoundsAgoKeys(r)},
      {"recall_by_rounds_ago", RoundsAgoRecall(r)},
      {"questions_by_rounds_ago", RoundsAgoQuestions(r)},
      {"model", run.model},
      {"suite", run.suite},
      {"service", run.has_service},
      {"block_size", run.block_size},
      {"row_bytes", run.row_bytes},
      {"contexts", r.contexts},
      {"context_tokens", Ratio(r.context_tokens, r.contexts)},
      {"continuation_tokens", r.kl_tokens},
      {"correct", r.correct},
      {"answers", r.answers},
      {"ring_rows", Ratio(r.ring_rows, r.contexts)},
      {"lag_steps", Ratio(r.recall_lag_steps, r.pages_recalled)},
      {"churn", Ratio(r.pages_recalled, r.ring_pages_seen)},
      {"rounds_kept_all", r.rounds_kept_all},
      {"tokens_without_information", r.tokens_without_information},
      {"steps", r.steps},
      {"collectives_per_step", Ratio(r.step_collectives, r.steps)},
      {"recall_when", arm.options.recall_when},
      {"recall_ahead", arm.options.recall_ahead},
      {"recall_choices", r.recall_choices},
      {"evicted_attention", Ratio(r.evicted_attention, r.quality_samples)},
      {"recall_hits", Ratio(r.ring_rows_attended, r.ring_rows_sampled)},
      {"prefill_seconds", run.prefill_seconds},
  };
}

}  // namespace

std::string ResultsJson(const EvalResults& results) {
  Json list = Json::array();
  for (std::size_t i = 0; i < results.arms.size(); ++i) {
    for (const double budget : results.arms[i].budgets) {
      list.push_back(ObjectOf(results, results.arms[i], results.results[i], budget));
    }
  }
  return list.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace pinboard::app
