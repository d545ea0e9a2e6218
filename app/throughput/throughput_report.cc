// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "app/throughput/throughput_report.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "app/report/text_table.h"
#include "base/byte_size.h"

namespace pinboard::app {
namespace {

/// Of decoding.
struct Rates {
  explicit Rates(const ThroughputOptions& options, const Throughput& measured) {
    const auto tokens = static_cast<double>(measured.sequences);
    tokens_per_second = tokens * options.generate / measured.decode_seconds;
    prefill_per_second = tokens * options.context / measured.prefill_seconds;
    std::vector<double> steps = measured.step_seconds;
    std::nth_element(steps.begin(), steps.begin() + steps.size() / 2, steps.end());
    step_ms = 1e3 * steps[steps.size() / 2];
    round_ms =
        measured.decode_rounds == 0 ? 0.0 : 1e3 * measured.round_seconds / measured.decode_rounds;
    const ShardStats &before = measured.before, &after = measured.after;
    pages = after.pages_recalled - before.pages_recalled;
    bytes = after.bytes_recalled - before.bytes_recalled;
    misses = after.misses - before.misses;
    const std::uint64_t seen = after.ring_pages_seen - before.ring_pages_seen;
    churn = seen == 0 ? 0.0 : static_cast<double>(pages) / static_cast<double>(seen);
    const std::uint64_t lag_steps = after.recall_lag_steps - before.recall_lag_steps;
    lag = pages == 0 ? 0.0 : static_cast<double>(lag_steps) / static_cast<double>(pages);
  }

  double tokens_per_second, prefill_per_second, step_ms, round_ms, churn, lag;
  std::uint64_t pages, bytes, misses;
};

/// The workspace is the run's high-water mark so far, also of arms before.
std::string Beside(const Arm& arm, const Throughput& measured) {
  if (arm.keeps_all) return "-";
  return FormatByteSize(measured.after.digest_bytes + measured.after.workspace_bytes);
}

}  // namespace

std::string ThroughputTable(const ThroughputReport& report) {
  std::vector<TextRow> rows{{"policy", "budget", "sequences", "rows", "cache used", "beside it",
                             "prefill t/s", "decode t/s", "step ms", "round ms",
                             "recalled MiB/step", "churn", "lag", "misses", "x"}};
  double first = 0.0;
  for (std::size_t i = 0; i < report.arms.size(); ++i) {
    const Throughput& measured = report.measured[i];
    const Rates rates(report.options, measured);
    if (i == 0) first = rates.tokens_per_second;
    const bool recalls = rates.pages > 0;
    rows.push_back(
        {report.arms[i].policy,
         report.arms[i].keeps_all ? "-"
                                  : absl::StrFormat("%g %%", 100 * report.arms[i].options.budget),
         absl::StrCat(measured.sequences), absl::StrCat(measured.rows),
         FormatByteSize(measured.most_blocks * report.block_bytes),
         Beside(report.arms[i], measured), absl::StrFormat("%.0f", rates.prefill_per_second),
         absl::StrFormat("%.1f", rates.tokens_per_second), absl::StrFormat("%.2f", rates.step_ms),
         measured.decode_rounds == 0 ? "-" : absl::StrFormat("%.2f", rates.round_ms),
         recalls ? absl::StrFormat("%.1f", static_cast<double>(rates.bytes) /
                                               report.options.generate / (1 << 20))
                 : "-",
         recalls ? absl::StrFormat("%.1f %%", 100 * rates.churn) : "-",
         recalls ? absl::StrFormat("%.1f", rates.lag) : "-", absl::StrCat(rates.misses),
         absl::StrFormat("%.2f", rates.tokens_per_second / first)});
  }
  const ThroughputOptions& options = report.options;
  return absl::StrCat(
      report.model, ", ", report.backend, ", tp ", report.tp, ": contexts of ", options.context,
      " tokens, ", options.generate, " decoded by each; a cache of ", report.cache_blocks,
      " blocks, ", FormatByteSize(report.cache_blocks * report.block_bytes), " a rank\n",
      AlignedTable(rows),
      "sequences: as many as fitted at once. decode t/s: of all together, rounds included; step "
      "ms: "
      "the median.\n"
      "beside it: digests, query windows and what a step keeps, outside of the cache. round ms: of "
      "a "
      "sequence,\nwhile decoding. x: decode t/s against the first line.\n");
}

std::string ThroughputJson(const ThroughputReport& report) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (std::size_t i = 0; i < report.arms.size(); ++i) {
    const Throughput& measured = report.measured[i];
    const Rates rates(report.options, measured);
    list.push_back({{"policy", report.arms[i].policy},
                    {"budget", report.arms[i].options.budget},
                    {"sequences", measured.sequences},
                    {"rows", measured.rows},
                    {"cache_bytes", report.cache_blocks * report.block_bytes},
                    {"cache_bytes_used", measured.most_blocks * report.block_bytes},
                    {"digest_bytes", measured.after.digest_bytes},
                    {"workspace_bytes", measured.after.workspace_bytes},
                    {"prefill_tokens_per_second", rates.prefill_per_second},
                    {"decode_tokens_per_second", rates.tokens_per_second},
                    {"step_ms", rates.step_ms},
                    {"step_seconds", measured.step_seconds},
                    {"round_ms", rates.round_ms},
                    {"pages_recalled", rates.pages},
                    {"bytes_recalled", rates.bytes},
                    {"churn", rates.churn},
                    {"lag_steps", rates.lag},
                    {"misses", rates.misses},
                    {"context", report.options.context},
                    {"generate", report.options.generate},
                    {"every", report.options.every},
                    {"seed", report.options.seed},
                    {"tp", report.tp},
                    {"backend", report.backend},
                    {"model", report.model}});
  }
  return list.dump(1) + "\n";
}

}  // namespace pinboard::app
