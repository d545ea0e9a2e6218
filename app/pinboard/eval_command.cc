// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdio>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "app/eval/decode_evaluation.h"
#include "app/eval/prefill_evaluation.h"
#include "app/pinboard/commands.h"
#include "app/pinboard/common_flags.h"
#include "app/report/output_file.h"
#include "app/report/progress_line.h"
#include "app/report/results_json.h"
#include "app/report/results_table.h"
#include "app/session/model_files.h"
#include "app/suite/suite_path.h"
#include "base/status_macros.h"

namespace pinboard::app {
namespace {

constexpr char kUsage[] =
    R"(pinboard eval - measures policies on a suite: answers, fidelity and memory.

  pinboard eval --model models/tiny-llama --suite builtin:said-once \
    --policy full,snapkv,infokv,pinboard --budget 0.1,0.2 --tp 2 --json results.json
  pinboard eval --model DIR --suite my.jsonl --policy snapkv,infokv:fusion=max:band=0 \
    --budget 0.1 --service none --json -

With --mode prefill each context is prefilled once; each arm (a policy at a budget) compresses a
copy of it before it sees a question, answers every question by greedy decoding from that, and is
scored on the continuation against the full cache. With --mode decode each arm is fed the context
behind its prompt as if it had generated it, compresses every --every tokens, and is asked at the
end.
A table goes to standard output.

A policy may carry options of its own: POLICY:OPTION=VALUE[:OPTION=VALUE...], of window, budget,
ratio (a budget as a share of what follows the prompt) or cap (rows kept, whatever the length),
band, recall-pages, recall-when, recall-ahead, layers and scope; infokv and pinboard also fusion,
alpha and tau; they and entropy-only align (whose entropy is a token's: predicted-i, of what
predicted it, or at-i, of its own output) and entropy-unit (nats, log-k); pinboard near-share (of
its band: ranked like what is kept); random seed.
Policies: full, random, recency, random-prompt, recency-prompt, snapkv, snapkv-heads, pyramidkv,
h2o, tova, rpc, rkv, expected-attention, entropy-only, shift-only, infokv, pinboard.

A line of a suite: {"context": T, "continuation": T, "questions": [{"prompt": T, "answer": T,
"tokens_ago": N}]}, T a list of token ids or a string; "prompt": T beside them comes before the
context, and is what random-prompt, recency-prompt and rpc never evict; tokens_ago (may be left out)
is how far from the context's end the answer was said. Pinboard brings builtin:said-once,
builtin:decode, and for tuning builtin:said-once-dev and builtin:decode-dev.

)";

// Ranks share few cores here, and a slow one is no lost one: what is measured is quality.
constexpr absl::Duration kDeadline = absl::Seconds(60);

struct EvalFlags {
  CommonFlags common;
  SequenceOptions method;
  std::string suite;
  std::string policies = "full,snapkv,infokv,pinboard";
  std::string budgets = "0.1";
  std::string json;
  std::string mode = "prefill";
  int every = 64;
  int limit_contexts = 0;
  bool census = false;

  bool decodes() const { return mode == "decode"; }
};

FlagTable MakeTable(EvalFlags* flags) {
  FlagTable table("pinboard eval");
  AddModelFlags(&table, &flags->common);
  table.Section("What is measured");
  table.Text("suite", "FILE", "A .jsonl file, or builtin:NAME.", &flags->suite);
  table.Text("policy", "P[,P...]", "Policies, compared side by side.", &flags->policies);
  table.Text("budget", "B[,B...]", "Rows kept, as a share of the length so far, in (0, 1].",
             &flags->budgets);
  table.Text("mode", "MODE",
             "prefill: one compression after the context; decode: one every --every.",
             &flags->mode);
  table.Int("every", "N", "Tokens of the context from round to round, with --mode decode.", 1,
            1 << 20, &flags->every);
  table.Refuse(
      "when",
      "arms are compared after rounds at the same tokens, and by pressure they would depend "
      "on what else is in the cache: use --mode decode --every N");
  AddMethodFlags(&table, &flags->method);
  table.Int("limit-contexts", "N", "Stop after N contexts; 0: all.", 0, 1 << 30,
            &flags->limit_contexts);
  table.Switch("census", "Check every row and block after each compression (slow).",
               &flags->census);
  table.Text("json", "OUT", "Write the results there; - is standard output, without the table.",
             &flags->json);
  AddRunFlags(&table, &flags->common);
  return table;
}

absl::StatusOr<std::vector<SuiteItem>> LoadItems(const EvalFlags& flags) {
  if (flags.suite.empty()) {
    return absl::InvalidArgumentError("--suite is missing: a .jsonl file or builtin:said-once");
  }
  PB_ASSIGN_OR_RETURN(const auto config, CheckModel(flags.common.model, flags.common.tp));
  PB_ASSIGN_OR_RETURN(const std::string path, ResolveSuite(flags.suite));
  LazyTokenizer tokenizer(TokenizerDir(flags.common));
  return ReadSuite(path, tokenizer.Vocabulary(config.vocab_size), flags.limit_contexts);
}

/// A policy that protects the prompt needs one in every context.
absl::Status CheckPrompts(absl::Span<const Arm> arms, absl::Span<const SuiteItem> items) {
  for (const Arm& arm : arms) {
    if (!arm.protects_prompt) continue;
    for (std::size_t i = 0; i < items.size(); ++i) {
      if (items[i].prompt_tokens > 0) continue;
      return absl::InvalidArgumentError(
          absl::StrCat("--policy ", arm.policy, " protects the prompt, and context ", i + 1,
                       R"( of the suite has none: give its line a "prompt")"));
    }
  }
  return absl::OkStatus();
}

absl::Status Validate(const EvalFlags& flags) {
  PB_RETURN_IF_ERROR(CheckCommon(flags.common));
  if (flags.mode != "prefill" && flags.mode != "decode") {
    return absl::InvalidArgumentError(
        absl::StrCat("--mode is '", flags.mode, "': use prefill or decode"));
  }
  PB_ASSIGN_OR_RETURN(
      const std::vector<Arm> arms,
      ParseArms(flags.policies, flags.budgets, flags.method, flags.common.service != "none"));
  PB_ASSIGN_OR_RETURN(const ArmLimits limits, ToArmLimits(flags.common));
  PB_RETURN_IF_ERROR(CheckArms(arms, limits));
  PB_ASSIGN_OR_RETURN(const std::vector<SuiteItem> items, LoadItems(flags));
  PB_RETURN_IF_ERROR(CheckPrompts(arms, items));
  return flags.json.empty() ? absl::OkStatus() : CheckWritable(flags.json);
}

SessionOptions MakeSessionOptions(const EvalFlags& flags, absl::Span<const SuiteItem> items,
                                  absl::Span<const Arm> arms) {
  SessionOptions options = ToSessionOptions(flags.common);
  options.cache_blocks = flags.decodes()
                             ? DecodeEvaluation::CacheBlocksNeeded(items, flags.common.block_size)
                             : PrefillEvaluation::CacheBlocksNeeded(items, flags.common.block_size);
  options.observe_all_queries = std::any_of(
      arms.begin(), arms.end(), [](const Arm& arm) { return arm.looks_at_all_queries; });
  options.wait_for_pages = true;
  options.census = flags.census;
  options.deadline = kDeadline;
  return options;
}

absl::Status Report(const EvalFlags& flags, RankSession& session, const Evaluation& evaluation) {
  EvalResults results;
  results.model = flags.common.model;
  results.suite = flags.suite;
  results.round_every = flags.decodes() ? flags.every : 0;
  results.tp = flags.common.tp;
  results.block_size = flags.common.block_size;
  results.tables = flags.common.tables;
  results.has_service = session.rank().store != nullptr;
  results.row_bytes = static_cast<std::int64_t>(session.engine().RowBytes()) * flags.common.tp;
  results.prefill_seconds = evaluation.prefill_seconds();
  results.arms = evaluation.arms();
  results.results = evaluation.results();
  if (flags.json != "-") PB_RETURN_IF_ERROR(WriteOutput("-", ResultsTable(results)));
  return flags.json.empty() ? absl::OkStatus() : WriteOutput(flags.json, ResultsJson(results));
}

std::unique_ptr<Evaluation> MakeEvaluation(const EvalFlags& flags, RankSession* session,
                                           const std::vector<Arm>& arms,
                                           const Evaluation::Progress& progress) {
  if (!flags.decodes()) return std::make_unique<PrefillEvaluation>(session, arms, progress);
  return std::make_unique<DecodeEvaluation>(session, arms, flags.every, progress);
}

absl::Status RunEval(const EvalFlags& flags, const RankContext& rank) {
  PB_ASSIGN_OR_RETURN(const std::vector<SuiteItem> items, LoadItems(flags));
  PB_ASSIGN_OR_RETURN(const std::vector<Arm> arms, ParseArms(flags.policies, flags.budgets,
                                                             flags.method, rank.store != nullptr));
  PB_ASSIGN_OR_RETURN(auto session,
                      RankSession::Open(MakeSessionOptions(flags, items, arms), rank));
  ProgressLine progress(session->is_first());
  const auto show = [&](const Arm& arm, const ArmResult& r) {
    progress.Show(absl::StrFormat("%d of %d contexts: %s at %g %%: %d of %d questions so far",
                                  r.contexts, items.size(), arm.policy, 100 * arm.options.budget,
                                  r.correct, r.questions));
  };
  const std::unique_ptr<Evaluation> evaluation = MakeEvaluation(flags, session.get(), arms, show);
  auto left = absl::MakeConstSpan(items);
  while (!left.empty()) {
    const auto now = left.first(std::min<std::size_t>(left.size(), Evaluation::kContextsTogether));
    PB_RETURN_IF_ERROR(evaluation->Measure(now));
    left.remove_prefix(now.size());
  }
  progress.Clear();
  return session->is_first() ? Report(flags, *session, *evaluation) : absl::OkStatus();
}

/// A service nobody would use is not started.
GroupOptions MakeGroupOptions(const EvalFlags& flags) {
  GroupOptions options = ToGroupOptions(flags.common);
  const auto arms = ParseArms(flags.policies, flags.budgets, flags.method, true);
  const bool offloads = arms.ok() && std::any_of(arms->begin(), arms->end(), [](const Arm& arm) {
                          return arm.options.band > 0;
                        });
  if (options.service == "auto" && !offloads) options.service = "none";
  return options;
}

}  // namespace

int EvalCommand(absl::Span<const std::string> arguments, char** argv) {
  EvalFlags flags;
  const FlagTable table = MakeTable(&flags);
  if (const absl::Status parsed = table.Parse(arguments); !parsed.ok()) return UsageError(parsed);
  if (const absl::Status model = ResolveModel(&flags.common); !model.ok()) return UsageError(model);
  if (flags.common.help) {
    std::printf("%s%s", kUsage, table.Help().c_str());
    return 0;
  }
  return RunRankGroup(
      MakeGroupOptions(flags), argv, [&] { return Validate(flags); },
      [&](const RankContext& rank) { return RunEval(flags, rank); });
}

}  // namespace pinboard::app
