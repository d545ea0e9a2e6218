// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "app/report/results_table.h"

#include <functional>
#include <set>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "app/report/text_table.h"

namespace pinboard::app {
namespace {

std::string Real(double sum, std::int64_t count, int digits) {
  return count > 0 ? absl::StrFormat("%.*f", digits, sum / static_cast<double>(count)) : "-";
}

std::string Percent(double sum, double count) {
  return count > 0 ? absl::StrFormat("%.1f %%", 100.0 * sum / count) : "-";
}

/// How many rounds ago answers were said, the longest first.
std::vector<int> RoundsAgoOf(const EvalResults& run) {
  std::set<int, std::greater<>> rounds;
  for (const ArmResult& r : run.results) {
    for (const auto& [ago, group] : r.by_rounds_ago) rounds.insert(ago);
  }
  return {rounds.begin(), rounds.end()};
}

std::string AnsweredOf(const ArmResult& r, int rounds_ago) {
  const auto group = r.by_rounds_ago.find(rounds_ago);
  if (group == r.by_rounds_ago.end()) return "-";
  return Percent(static_cast<double>(group->second.correct),
                 static_cast<double>(group->second.questions));
}

TextRow RowOf(const EvalResults& run, const Arm& arm, const ArmResult& r) {
  const double gpu_bytes = static_cast<double>(r.resident_kv_bytes + r.digest_bytes);
  const double full_bytes = static_cast<double>(r.context_tokens) * run.row_bytes;
  const bool recalls = r.ring_pages_seen > 0;
  return {
      arm.policy,
      arm.keeps_all ? "-" : absl::StrFormat("%g %%", 100.0 * arm.options.budget),
      arm.options.band > 0 ? absl::StrFormat("%g %%", 100.0 * arm.options.band) : "-",
      arm.options.band > 0 ? absl::StrCat(arm.options.recall_pages) : "-",
      Real(gpu_bytes / 1024.0, r.contexts, 0),
      Percent(gpu_bytes, full_bytes),
      Percent(static_cast<double>(r.correct), static_cast<double>(r.questions)),
      Real(r.kl_sum, r.kl_tokens, 4),
      Real(r.nll_sum, r.nll_tokens, 3),
      recalls ? absl::StrCat(r.pages_recalled) : "-",
      recalls
          ? Percent(static_cast<double>(r.pages_recalled), static_cast<double>(r.ring_pages_seen))
          : "-",
      recalls ? Real(static_cast<double>(r.recall_lag_steps), r.pages_recalled, 1) : "-",
      recalls ? absl::StrCat(r.misses) : "-",
      recalls ? absl::StrCat(r.waits) : "-",
      Percent(r.evicted_attention, static_cast<double>(r.quality_samples)),
      Percent(static_cast<double>(r.ring_rows_attended), static_cast<double>(r.ring_rows_sampled)),
      absl::StrFormat("%.1f", r.seconds)};
}

/// What must not be overlooked.
std::string Warnings(const EvalResults& results) {
  std::int64_t kept_all = 0;
  std::int64_t mismatches = 0;
  for (const ArmResult& r : results.results) {
    kept_all += r.rounds_kept_all;
    mismatches += r.keepset_mismatches;
  }
  if (kept_all + mismatches == 0) return "";
  return absl::StrCat("CAUTION: ", kept_all, " rounds kept everything (", mismatches,
                      " because the ranks' plans differed): their arms were not compressed.\n");
}

}  // namespace

std::string ResultsTable(const EvalResults& results) {
  std::vector<TextRow> rows = {{"policy", "budget", "band", "pages", "GPU KiB", "share", "answered",
                                "KL", "NLL", "recalled", "churn", "lag", "misses", "waits",
                                "evicted", "hits", "s"}};
  for (std::size_t i = 0; i < results.arms.size(); ++i) {
    rows.push_back(RowOf(results, results.arms[i], results.results[i]));
  }
  for (const int ago : RoundsAgoOf(results)) {
    rows.front().push_back(absl::StrCat(ago, " ago"));
    for (std::size_t i = 0; i < results.results.size(); ++i) {
      rows[i + 1].push_back(AnsweredOf(results.results[i], ago));
    }
  }
  const ArmResult& any = results.results.front();
  return absl::StrCat(
      absl::StrFormat("%s, %s, tp %d: %d contexts of %s tokens, %d questions%s\n", results.model,
                      results.suite, results.tp, any.contexts,
                      Real(static_cast<double>(any.context_tokens), any.contexts, 0), any.questions,
                      results.round_every > 0 ? absl::StrCat("; decoded, a round every ",
                                                             results.round_every, " tokens")
                                              : ""),
      AlignedTable(rows), Warnings(results),
      "GPU KiB: kept rows, ring and digests of one context, all layers and ranks; share: of the "
      "full cache.\n"
      "answered: questions with every token right. KL(full || compressed) and NLL: nats per "
      "continuation token.\n"
      "recalled: pages, per layer; churn: of the ring in a step; lag: steps from wanted to "
      "visible.\n"
      "evicted: attention that queries would give to evicted pages, from their digests; hits: of "
      "the ring's rows, attended to.\n",
      results.round_every > 0 ? "N ago: answered, of what was said N rounds before the end.\n"
                              : "");
}

}  // namespace pinboard::app
