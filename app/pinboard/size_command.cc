// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "app/pinboard/commands.h"
#include "app/pinboard/common_flags.h"
#include "app/report/output_file.h"
#include "app/size/known_models.h"
#include "app/size/model_shape.h"
#include "app/size/size_report.h"
#include "base/byte_size.h"
#include "base/status_macros.h"

namespace pinboard::app {
namespace {

constexpr char kUsage[] =
    R"(pinboard size - how much memory the KV cache of a model takes, whole and under a budget.

  pinboard size --model llama-3.1-8b --tokens 131072
  pinboard size --model deepseek-r1 --tokens 32768 --tp 8 --dtype fp8 --gpu-memory 40GiB
  pinboard size --model models/tiny-llama --tokens 4096 --budget 0.1 --band 0 --json -

Nothing is run and no weights are read. What stays under the budget is what the first round leaves
of a context that was read in one go: the scheduler plans it as it does for the other commands.
Keys and values are split over the GPUs by heads; a KV head lies on several GPUs where there are
more GPUs than KV heads, and MLA's latent lies on every one. The band is evicted rows that may come
back: pages in the host memory of pinboardd, one copy however many GPUs hold the rows.

Models it knows by name; any other is a directory with a Hugging Face config.json:
)";

struct SizeFlags {
  std::string model;
  std::string dtype = "bf16";
  int tp = 1;
  int tokens = 0;
  scheduler::BudgetOptions budget;
  std::string gpu_memory;
  std::string json;
  bool help = false;
};

FlagTable MakeTable(SizeFlags* flags) {
  FlagTable table("pinboard size");
  table.Section("Model");
  table.Text("model", "NAME|DIR", "A name from above, or a directory with a config.json.",
             &flags->model);
  table.Int("tp", "N", "GPUs the model is split over.", 1, 1024, &flags->tp);
  table.Text("dtype", "T",
             "Of the cache's rows: bf16, fp16, f32 or fp8. fp8 is a byte a value; for MLA the row "
             "of fp8_ds_mla (DeepSeek: 656 bytes).",
             &flags->dtype);
  table.Section("Context");
  table.Int("tokens", "N", "Its length.", 1, kMaxContextTokens, &flags->tokens);
  table.Real("budget", "SHARE", "Rows kept, as a share of the length, in (0, 1].",
             &flags->budget.budget);
  table.Real("band", "SHARE", "Share of the length that is offloaded to the cache service.",
             &flags->budget.band);
  table.Int("recall-pages", "N", "Pages of 16 rows per layer and sequence that are held ready.", 0,
            1024, &flags->budget.recall_pages);
  table.Section("Run");
  table.Text("gpu-memory", "SIZE",
             "Also say how many such contexts fit. Weights are not counted: give what is left for "
             "the KV cache on each GPU, e.g. 40GiB.",
             &flags->gpu_memory);
  table.Text("json", "OUT", "Write the figures there; - is standard output, without the table.",
             &flags->json);
  table.Switch("help", "Show this.", &flags->help);
  return table;
}

absl::StatusOr<std::optional<std::uint64_t>> ParseGpuMemory(const std::string& text) {
  if (text.empty()) return std::nullopt;
  const auto bytes = ParseByteSize(text);
  if (bytes.ok()) return *bytes;
  return absl::Status(bytes.status().code(),
                      absl::StrCat("--gpu-memory: ", bytes.status().message()));
}

absl::StatusOr<SizeReport> MakeReport(const SizeFlags& flags) {
  if (flags.model.empty()) {
    return absl::InvalidArgumentError(
        "--model is missing: a name such as llama-3.1-8b, or a directory with a config.json");
  }
  if (flags.tokens == 0) {
    return absl::InvalidArgumentError("--tokens is missing: the length of a context");
  }
  SizeReport report;
  report.model = flags.model;
  PB_ASSIGN_OR_RETURN(report.request.model, FindAttentionShape(flags.model));
  PB_ASSIGN_OR_RETURN(report.request.format, ParseRowFormat(flags.dtype));
  report.request.tp = flags.tp;
  report.request.tokens = flags.tokens;
  report.request.budget = flags.budget;
  PB_ASSIGN_OR_RETURN(report.plan, PlanMemory(report.request));
  PB_ASSIGN_OR_RETURN(report.gpu_memory_bytes, ParseGpuMemory(flags.gpu_memory));
  if (!flags.json.empty()) PB_RETURN_IF_ERROR(CheckWritable(flags.json));
  return report;
}

absl::Status Write(const SizeFlags& flags, const SizeReport& report) {
  if (flags.json != "-") PB_RETURN_IF_ERROR(WriteOutput("-", SizeTable(report)));
  return flags.json.empty() ? absl::OkStatus() : WriteOutput(flags.json, SizeJson(report));
}

}  // namespace

int SizeCommand(absl::Span<const std::string> arguments) {
  SizeFlags flags;
  const FlagTable table = MakeTable(&flags);
  if (const absl::Status parsed = table.Parse(arguments); !parsed.ok()) return UsageError(parsed);
  if (flags.help) {
    std::printf("%s  %s\n\n%s", kUsage, KnownModelNames().c_str(), table.Help().c_str());
    return 0;
  }
  const absl::StatusOr<SizeReport> report = MakeReport(flags);
  if (!report.ok()) return UsageError(report.status());
  const absl::Status written = Write(flags, *report);
  return written.ok() ? 0 : RunError(written);
}

}  // namespace pinboard::app
