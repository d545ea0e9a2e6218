// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "app/eval/arm.h"
#include "app/generate/generated_text.h"
#include "app/generate/generation.h"
#include "app/generate/plan_log.h"
#include "app/pinboard/commands.h"
#include "app/pinboard/generate_flags.h"
#include "app/pinboard/generate_report.h"
#include "app/report/output_file.h"
#include "app/session/model_files.h"
#include "base/status_macros.h"
#include "scheduler/policy/policy.h"

namespace pinboard::app {
namespace {

constexpr char kUsage[] =
    R"(pinboard generate - continues a text under a bounded KV cache.

  pinboard generate --model models/tiny-llama --prompt "def main():"
  pinboard generate --model DIR --prompt-file long.txt --budget 0.1 --tp 2 --stats
  pinboard generate --model DIR --prompt "Dear" --temperature 0.8 --seed 7 --stop "Yours"
  pinboard generate --model DIR --ids 0,17,305 --json -
  pinboard generate --model DIR --prompts many.jsonl --cache-blocks 512 --stats
  pinboard generate --random-weights config.json --prompt-tokens 4096 --json - --backend cuda

The text goes to standard output as it is made. It ends where the model ends it (eos_token_id of
generation_config.json or config.json), before a --stop text, or after --max-tokens. The cache is
compressed to --budget of the length when --when says so; pages come back when they matter, and are
never waited for.

The prompts of a file, one JSON object a line such as {"prompt": "Dear", "max_tokens": 40}, are
continued side by side in one cache: they wait for free blocks, and the latest is swapped out where
there are none. A line may have its own max_tokens, policy ("snapkv:budget=0.2") and seed.

To see what would be evicted before anything is: --mode observe --plans plans.jsonl.

)";

/// Null for a model without one, where ids come out as JSON.
absl::StatusOr<const engine::Tokenizer*> OutputTokenizer(const GenerateFlags& flags,
                                                         LazyTokenizer& lazy) {
  auto tokenizer = lazy.Get();
  const bool ids_only = !flags.json.empty() && flags.stop.empty();
  if (ids_only && absl::IsNotFound(tokenizer.status())) return nullptr;
  return tokenizer;
}

/// A dry run plans as if there were one, unless it was told to go without.
bool HasService(const GenerateFlags& flags, const RankContext& rank) {
  return Observes(flags) ? flags.common.service != "none" : rank.store != nullptr;
}

bool LooksAtAllQueries(absl::Span<const GenerationRequest> requests) {
  return std::any_of(requests.begin(), requests.end(), [](const GenerationRequest& request) {
    const auto policy = scheduler::MakePolicy(request.method.policy, {});
    return policy.ok() && policy->queries == AttentionQueries::kAll;
  });
}

absl::Status RunGenerate(const GenerateFlags& flags, const RankContext& rank) {
  PB_ASSIGN_OR_RETURN(const auto config, CheckModel(flags.common.model, flags.common.tp));
  LazyTokenizer lazy(TokenizerDir(flags.common));
  PB_ASSIGN_OR_RETURN(const auto requests, MakeRequests(flags, lazy.Vocabulary(config.vocab_size),
                                                        HasService(flags, rank)));
  PB_ASSIGN_OR_RETURN(const engine::Tokenizer* tokenizer, OutputTokenizer(flags, lazy));
  const engine::BatchOptions batch;
  SessionOptions session_options = ToSessionOptions(flags.common);
  session_options.cache_blocks =
      flags.cache_blocks > 0
          ? flags.cache_blocks
          : CacheBlocksNeeded(requests, batch.max_running, flags.common.block_size);
  session_options.export_plans = !flags.plans.empty();
  session_options.observe_all_queries = LooksAtAllQueries(requests);
  PB_ASSIGN_OR_RETURN(auto session, RankSession::Open(session_options, rank));

  std::vector<GeneratedText> texts(tokenizer == nullptr ? 0 : requests.size(),
                                   GeneratedText(tokenizer, flags.stop));
  const bool streams = session->is_first() && flags.json.empty();
  GenerationHandlers handlers;
  handlers.on_token = [&](std::size_t request, std::int32_t id) -> absl::StatusOr<bool> {
    if (texts.empty()) return true;
    PB_ASSIGN_OR_RETURN(const std::string piece, texts[request].Push(id));
    if (streams) PB_RETURN_IF_ERROR(WriteOutput("-", piece));
    return !texts[request].stopped();
  };
  std::unique_ptr<PlanLog> plans;
  if (session->is_first() && !flags.plans.empty()) {
    PB_ASSIGN_OR_RETURN(plans, PlanLog::Open(flags.plans));
    handlers.on_round = [&](std::size_t request, const RoundOutcome& outcome) {
      return plans->Write(request, outcome);
    };
  }
  PB_ASSIGN_OR_RETURN(Generations made, Generate(*session, requests, batch, handlers));
  if (!session->is_first()) return absl::OkStatus();
  GenerateReport report{.generations = std::move(made),
                        .stats = session->shard().stats(),
                        .tp = rank.tp,
                        .cache_blocks = session_options.cache_blocks,
                        .row_bytes = session->engine().RowBytes()};
  for (const GenerationRequest& request : requests) {
    report.prompt_tokens.push_back(static_cast<int>(request.prompt.size()));
  }
  for (GeneratedText& text : texts) {
    const std::string rest = text.Finish();
    if (streams) PB_RETURN_IF_ERROR(WriteOutput("-", rest + "\n"));
    report.texts.push_back(text.text());
  }
  if (flags.stats || isatty(STDERR_FILENO) == 1) std::fputs(Statistics(report).c_str(), stderr);
  if (flags.json.empty()) return absl::OkStatus();
  return WriteJson(report, /*as_list=*/!flags.prompts.empty(), flags.json);
}

GroupOptions MakeGroupOptions(const GenerateFlags& flags) {
  GroupOptions options = ToGroupOptions(flags.common);
  const auto arms = ParseArms(flags.method.policy, absl::StrCat(flags.method.budget), flags.method,
                              /*has_service=*/true);
  const bool has_band = arms.ok() && std::any_of(arms->begin(), arms->end(), [](const Arm& arm) {
                          return arm.options.policy != "full" && arm.options.band > 0;
                        });
  // A line of a file may have a policy of its own.
  const bool offloads = (has_band || !flags.prompts.empty()) && !Observes(flags);
  if (options.service == "auto" && !offloads) options.service = "none";
  return options;
}

}  // namespace

int GenerateCommand(absl::Span<const std::string> arguments, char** argv) {
  GenerateFlags flags;
  const FlagTable table = MakeGenerateTable(&flags);
  if (const absl::Status parsed = table.Parse(arguments); !parsed.ok()) return UsageError(parsed);
  if (const absl::Status model = ResolveModel(&flags.common); !model.ok()) return UsageError(model);
  // Many texts cannot be shown while they are made.
  if (!flags.prompts.empty() && flags.json.empty()) flags.json = std::string("-");
  if (flags.common.help) {
    std::printf("%s%s", kUsage, table.Help().c_str());
    return 0;
  }
  return RunRankGroup(
      MakeGroupOptions(flags), argv, [&] { return CheckGenerateFlags(flags); },
      [&](const RankContext& rank) { return RunGenerate(flags, rank); });
}

}  // namespace pinboard::app
