// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdio>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "app/eval/arm.h"
#include "app/pinboard/commands.h"
#include "app/pinboard/common_flags.h"
#include "app/report/output_file.h"
#include "app/report/progress_line.h"
#include "app/throughput/throughput_report.h"
#include "base/status_macros.h"

namespace pinboard::app {
namespace {

constexpr char kUsage[] =
    R"(pinboard bench throughput - how many long contexts fit a fixed cache, and how fast they decode.

  pinboard bench throughput --random-weights bench/engine/llama-3.1-8b --backend cuda \
    --context 32768 --cache-sequences 4 --policy full,pinboard --budget 0.1 --service-arena 32GiB
  pinboard bench throughput --model DIR --backend cuda --cache-sequences 64 --sequences 4

The cache holds --cache-sequences full contexts. Each policy in turn reads as many contexts of drawn
tokens as fit, compressing every --chunk tokens, and decodes them side by side with a round after
every --every tokens; full runs without the shard, observing nothing. Recalled pages are never
waited for. A table goes to standard output.

'pinboard bench service' loads a running cache service instead; it has a --help of its own.

)";

struct BenchFlags {
  CommonFlags common;
  SequenceOptions method;
  ThroughputOptions load;
  std::string policies = "full,pinboard";
  std::string budgets = "0.1";
  std::string json;
  int cache_sequences = 4;
  int seed = 0;
};

FlagTable MakeTable(BenchFlags* flags) {
  FlagTable table("pinboard bench throughput");
  AddModelFlags(&table, &flags->common);
  table.Section("Load");
  table.Int("context", "N", "Tokens of each prompt.", 1, 1 << 22, &flags->load.context);
  table.Int("generate", "N", "Tokens that each sequence decodes.", 1, 1 << 20,
            &flags->load.generate);
  table.Int("cache-sequences", "N", "Full contexts for which the cache has room.", 1, 1 << 16,
            &flags->cache_sequences);
  table.Int("sequences", "N", "At most so many side by side; 0: as many as fit.", 0, 1 << 16,
            &flags->load.most_sequences);
  table.Int("chunk", "N", "Tokens of a prompt in a step.", 1, 16384, &flags->load.chunk);
  table.Int("every", "N", "Decoded tokens from round to round.", 1, 1 << 20, &flags->load.every);
  table.Int("seed", "S", "Of the prompts.", 0, std::numeric_limits<int>::max(), &flags->seed);
  table.Section("Cache");
  table.Text("policy", "P[,P...]", "As of pinboard eval, one after another.", &flags->policies);
  table.Text("budget", "B[,B...]", "Rows kept, as a share of the length, in (0, 1].",
             &flags->budgets);
  AddMethodFlags(&table, &flags->method);
  table.Text("json", "OUT", "Write the results there too; - is standard output, without the table.",
             &flags->json);
  AddRunFlags(&table, &flags->common);
  return table;
}

absl::StatusOr<std::vector<Arm>> Arms(const BenchFlags& flags, bool has_service) {
  PB_ASSIGN_OR_RETURN(const std::vector<Arm> arms,
                      ParseArms(flags.policies, flags.budgets, flags.method, has_service));
  PB_ASSIGN_OR_RETURN(const ArmLimits limits, ToArmLimits(flags.common));
  PB_RETURN_IF_ERROR(CheckArms(arms, limits));
  return arms;
}

absl::Status Validate(const BenchFlags& flags) {
  PB_RETURN_IF_ERROR(CheckCommon(flags.common));
  PB_RETURN_IF_ERROR(Arms(flags, flags.common.service != "none").status());
  return flags.json.empty() ? absl::OkStatus() : CheckWritable(flags.json);
}

absl::Status RunBench(const BenchFlags& flags, const RankContext& rank) {
  PB_ASSIGN_OR_RETURN(const std::vector<Arm> arms, Arms(flags, rank.store != nullptr));
  SessionOptions options = ToSessionOptions(flags.common);
  options.cache_blocks =
      ThroughputBlocks(flags.load, flags.cache_sequences, flags.common.block_size);
  options.observe_all_queries = std::any_of(
      arms.begin(), arms.end(), [](const Arm& arm) { return arm.looks_at_all_queries; });
  PB_ASSIGN_OR_RETURN(auto session, RankSession::Open(options, rank));
  ThroughputReport report{.model = flags.common.model,
                          .backend = flags.common.backend,
                          .tp = flags.common.tp,
                          .cache_blocks = options.cache_blocks,
                          .block_bytes = session->engine().BlockBytes(),
                          .options = flags.load,
                          .arms = arms,
                          .measured = {}};
  report.options.seed = flags.seed;
  ProgressLine progress(session->is_first());
  for (const Arm& arm : arms) {
    const auto show = [&](int sequences) {
      progress.Show(absl::StrFormat("%s: %d contexts read", arm.policy, sequences));
    };
    PB_ASSIGN_OR_RETURN(Throughput measured,
                        MeasureThroughput(*session, arm, report.options, show));
    report.measured.push_back(std::move(measured));
  }
  progress.Clear();
  if (!session->is_first()) return absl::OkStatus();
  if (flags.json != "-") PB_RETURN_IF_ERROR(WriteOutput("-", ThroughputTable(report)));
  return flags.json.empty() ? absl::OkStatus() : WriteOutput(flags.json, ThroughputJson(report));
}

}  // namespace

int BenchCommand(absl::Span<const std::string> arguments, char** argv) {
  const std::string what = arguments.empty() ? "" : arguments.front();
  if (what == "service") return ServiceBenchCommand(arguments.subspan(1));
  if (what != "throughput" && what != "--help") {
    return UsageError(absl::InvalidArgumentError(
        absl::StrCat("bench: ", what.empty() ? "what to measure is missing" : what + " is unknown",
                     ": throughput or service ('pinboard bench throughput --help' shows how)")));
  }
  BenchFlags flags;
  const FlagTable table = MakeTable(&flags);
  const auto rest = what == "--help" ? arguments : arguments.subspan(1);
  if (const absl::Status parsed = table.Parse(rest); !parsed.ok()) return UsageError(parsed);
  if (flags.common.help) {
    std::printf("%s%s", kUsage, table.Help().c_str());
    return 0;
  }
  if (const absl::Status model = ResolveModel(&flags.common); !model.ok()) return UsageError(model);
  return RunRankGroup(
      ToGroupOptions(flags.common), argv, [&] { return Validate(flags); },
      [&](const RankContext& rank) { return RunBench(flags, rank); });
}

}  // namespace pinboard::app
