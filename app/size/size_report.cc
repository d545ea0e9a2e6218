// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "app/size/size_report.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "app/report/text_table.h"
#include "base/byte_size.h"
#include "base/page.h"

namespace pinboard::app {
namespace {

std::string Attention(const AttentionShape& model) {
  if (model.is_mla()) {
    return absl::StrCat("MLA, ", model.heads, " heads, a latent of ", model.latent_dim, " + ",
                        model.rotary_dim);
  }
  return absl::StrCat(model.heads, " heads, ", model.kv_heads, " KV heads of ", model.head_dim);
}

std::string Heading(const SizeReport& report) {
  const MemoryRequest& request = report.request;
  const MemoryPlan& plan = report.plan;
  std::string text = absl::StrCat(report.model, ": ", request.model.layers, " layers, ",
                                  Attention(request.model), ", ", RowFormatName(request.format),
                                  "\none token: ", plan.token_bytes, " bytes");
  if (request.tp > 1) {
    absl::StrAppend(&text, ", on each of ", request.tp, " GPUs ", plan.gpu_token_bytes, " bytes");
  }
  if (plan.kv_replicas > 1) {
    absl::StrAppend(&text, "; each row is on ", plan.kv_replicas, " of them");
  }
  return absl::StrCat(text, "\n", request.tokens, " tokens at ",
                      absl::StrFormat("a budget of %g %%, a band of %g %%, ",
                                      100 * request.budget.budget, 100 * request.budget.band),
                      request.budget.recall_pages, " recall pages\n");
}

TextRow Line(const std::string& what, const std::string& rows, std::uint64_t gpu_bytes, int tp,
             std::uint64_t whole) {
  return {what, rows, FormatByteSize(gpu_bytes), FormatByteSize(gpu_bytes * tp),
          absl::StrFormat("%.1f %%",
                          100.0 * static_cast<double>(gpu_bytes) / static_cast<double>(whole))};
}

std::string Body(const SizeReport& report) {
  const MemoryPlan& plan = report.plan;
  const int tp = report.request.tp;
  const std::uint64_t whole = plan.gpu_full_bytes;
  const std::string band_rows = absl::StrCat(plan.band_pages * kPageRows);
  return AlignedTable({
      {"", "rows a layer", "each GPU", "total", "share"},
      Line("everything kept", absl::StrCat(report.request.tokens), whole, tp, whole),
      Line("kept rows and ring", absl::StrCat(plan.kept_rows, " + ", plan.ring_rows),
           plan.gpu_resident_bytes, tp, whole),
      Line("digests of the band", "-", plan.gpu_digest_bytes, tp, whole),
      Line("under the budget", "-", plan.gpu_compressed_bytes(), tp, whole),
      {"band, in host memory", band_rows, "-", FormatByteSize(plan.band_bytes), "-"},
  });
}

std::string Fit(const SizeReport& report) {
  if (!report.gpu_memory_bytes.has_value()) return "";
  const MemoryPlan& plan = report.plan;
  const std::uint64_t memory = *report.gpu_memory_bytes;
  return absl::StrCat("\nsequences in ", FormatByteSize(memory),
                      " a GPU: ", memory / plan.gpu_full_bytes, " with everything kept, ",
                      memory / plan.gpu_compressed_bytes(), " under the budget\n");
}

}  // namespace

std::string SizeTable(const SizeReport& report) {
  const char* nothing_gained =
      report.plan.compressed ? "" : "At this length a round would gain nothing: all rows stay.\n";
  return absl::StrCat(Heading(report), "\n", Body(report), Fit(report), "\n", nothing_gained,
                      "Right after the first round, in whole blocks. Weights, activations and "
                      "scores are not counted.\n");
}

std::string SizeJson(const SizeReport& report) {
  const MemoryRequest& request = report.request;
  const MemoryPlan& plan = report.plan;
  const auto fit = [&](std::uint64_t bytes) -> nlohmann::ordered_json {
    if (!report.gpu_memory_bytes.has_value()) return nullptr;
    return *report.gpu_memory_bytes / bytes;
  };
  nlohmann::ordered_json object{
      {"model", report.model},
      {"layers", request.model.layers},
      {"heads", request.model.heads},
      {"kv_heads", request.model.kv_heads},
      {"head_dim", request.model.head_dim},
      {"latent_dim", request.model.latent_dim},
      {"rotary_dim", request.model.rotary_dim},
      {"dtype", RowFormatName(request.format)},
      {"tp", request.tp},
      {"kv_replicas", plan.kv_replicas},
      {"tokens", request.tokens},
      {"budget", request.budget.budget},
      {"band", request.budget.band},
      {"recall_pages", request.budget.recall_pages},
      {"token_bytes", plan.token_bytes},
      {"gpu_token_bytes", plan.gpu_token_bytes},
      {"gpu_full_bytes", plan.gpu_full_bytes},
      {"compressed", plan.compressed},
      {"kept_rows", plan.kept_rows},
      {"ring_rows", plan.ring_rows},
      {"band_pages", plan.band_pages},
      {"gpu_resident_bytes", plan.gpu_resident_bytes},
      {"gpu_digest_bytes", plan.gpu_digest_bytes},
      {"gpu_compressed_bytes", plan.gpu_compressed_bytes()},
      {"band_bytes", plan.band_bytes},
      {"gpu_memory_bytes", nullptr},
      {"full_sequences", fit(plan.gpu_full_bytes)},
      {"compressed_sequences", fit(plan.gpu_compressed_bytes())},
  };
  if (report.gpu_memory_bytes.has_value()) object["gpu_memory_bytes"] = *report.gpu_memory_bytes;
  return object.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace pinboard::app
