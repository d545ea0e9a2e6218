// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "app/pinboard/generate_report.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_format.h"
#include "app/report/output_file.h"
#include "base/byte_size.h"

namespace pinboard::app {

std::string Statistics(const GenerateReport& report) {
  const Generation& made = report.made;
  const double tokens = static_cast<double>(made.ids.size());
  return absl::StrFormat(
      "%d + %d tokens (%s), prefill %.2f s, %.1f tokens/s | cache: %d of %d rows, %s instead of "
      "%s, %d rounds | pages: %d offloaded, %d recalled, %d missed\n",
      report.prompt_tokens, made.ids.size(), StopReasonName(made.stop_reason), made.prefill_seconds,
      made.decode_seconds > 0 ? tokens / made.decode_seconds : 0.0, made.rows, made.length,
      FormatByteSize(made.kv_bytes * report.tp),
      FormatByteSize(report.row_bytes * made.length * report.tp), made.rounds,
      report.stats.pages_offloaded, report.stats.pages_recalled, report.stats.misses);
}

absl::Status WriteJson(const GenerateReport& report, const std::string& path) {
  const Generation& made = report.made;
  nlohmann::ordered_json text;  // null: no tokenizer
  if (report.has_text) text = report.text;
  const nlohmann::ordered_json object{{"prompt_tokens", report.prompt_tokens},
                                      {"ids", made.ids},
                                      {"text", text},
                                      {"stop_reason", StopReasonName(made.stop_reason)},
                                      {"length", made.length},
                                      {"rows", made.rows},
                                      {"resident_kv_bytes", made.kv_bytes},
                                      {"rounds", made.rounds},
                                      {"pages_offloaded", report.stats.pages_offloaded},
                                      {"pages_recalled", report.stats.pages_recalled},
                                      {"misses", report.stats.misses},
                                      {"prefill_seconds", made.prefill_seconds},
                                      {"decode_seconds", made.decode_seconds}};
  return WriteOutput(
      path, object.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n");
}

}  // namespace pinboard::app
