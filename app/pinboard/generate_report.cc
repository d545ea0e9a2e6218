// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "app/pinboard/generate_report.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/str_format.h"
#include "app/report/output_file.h"
#include "base/byte_size.h"

namespace pinboard::app {
namespace {

using Json = nlohmann::ordered_json;

std::string Pages(const ShardStats& stats) {
  return absl::StrFormat("pages: %d offloaded, %d recalled, %d missed\n", stats.pages_offloaded,
                         stats.pages_recalled, stats.misses);
}

std::string OfOne(const GenerateReport& report) {
  const Generation& made = report.generations.made.front();
  const double tokens = static_cast<double>(made.ids.size());
  return absl::StrFormat(
      "%d + %d tokens (%s), prefill %.2f s, %.1f tokens/s | cache: %d of %d rows, %s instead of "
      "%s, %d rounds | ",
      report.prompt_tokens.front(), made.ids.size(), StopReasonName(made.stop_reason),
      made.prefill_seconds, made.decode_seconds > 0 ? tokens / made.decode_seconds : 0.0, made.rows,
      made.length, FormatByteSize(made.kv_bytes * report.tp),
      FormatByteSize(report.row_bytes * made.length * report.tp), made.rounds);
}

std::string OfMany(const GenerateReport& report) {
  const engine::BatchStats& batch = report.generations.batch;
  std::size_t tokens = 0;
  std::size_t prompts = 0;
  double seconds = 0.0;
  for (std::size_t i = 0; i < report.prompt_tokens.size(); ++i) {
    const Generation& made = report.generations.made[i];
    prompts += report.prompt_tokens[i];
    tokens += made.ids.size();
    seconds = std::max(seconds, made.prefill_seconds + made.decode_seconds);
  }
  return absl::StrFormat(
      "%d sequences, %d + %d tokens in %.2f s, %d steps | at most %d at once, %d preemptions | "
      "cache: at most %d of %d blocks, %d rounds | ",
      report.prompt_tokens.size(), prompts, tokens, seconds, batch.steps, batch.most_running,
      batch.preemptions, batch.most_blocks, report.cache_blocks, batch.rounds);
}

Json Sequence(const GenerateReport& report, std::size_t i) {
  const Generation& made = report.generations.made[i];
  Json text;  // null: no tokenizer
  if (!report.texts.empty()) text = report.texts[i];
  return {{"prompt_tokens", report.prompt_tokens[i]},
          {"ids", made.ids},
          {"text", text},
          {"stop_reason", StopReasonName(made.stop_reason)},
          {"length", made.length},
          {"rows", made.rows},
          {"resident_kv_bytes", made.kv_bytes},
          {"rounds", made.rounds},
          {"prefill_seconds", made.prefill_seconds},
          {"decode_seconds", made.decode_seconds}};
}

}  // namespace

std::string Statistics(const GenerateReport& report) {
  return (report.prompt_tokens.size() == 1 ? OfOne(report) : OfMany(report)) + Pages(report.stats);
}

absl::Status WriteJson(const GenerateReport& report, bool as_list, const std::string& path) {
  Json object;
  if (as_list) {
    for (std::size_t i = 0; i < report.prompt_tokens.size(); ++i) {
      object["sequences"].push_back(Sequence(report, i));
    }
  } else {
    object = Sequence(report, 0);
  }
  const engine::BatchStats& batch = report.generations.batch;
  object.update(Json{{"steps", batch.steps},
                     {"preemptions", batch.preemptions},
                     {"most_running", batch.most_running},
                     {"most_blocks", batch.most_blocks},
                     {"cache_blocks", report.cache_blocks},
                     {"pages_offloaded", report.stats.pages_offloaded},
                     {"pages_recalled", report.stats.pages_recalled},
                     {"misses", report.stats.misses}});
  return WriteOutput(path, object.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

}  // namespace pinboard::app
