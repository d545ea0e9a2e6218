// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <iterator>
#include <limits>

#include "absl/strings/str_cat.h"
#include "app/eval/arm.h"
#include "app/generate/generated_text.h"
#include "app/generate/generation.h"
#include "app/pinboard/commands.h"
#include "app/pinboard/common_flags.h"
#include "app/pinboard/generate_report.h"
#include "app/report/output_file.h"
#include "app/session/model_files.h"
#include "base/status_macros.h"

namespace pinboard::app {
namespace {

constexpr char kUsage[] =
    R"(pinboard generate - continues a text under a bounded KV cache.

  pinboard generate --model models/tiny-llama --prompt "def main():"
  pinboard generate --model DIR --prompt-file long.txt --budget 0.1 --tp 2 --stats
  pinboard generate --model DIR --prompt "Dear" --temperature 0.8 --seed 7 --stop "Yours"
  pinboard generate --model DIR --ids 0,17,305 --json -

The text goes to standard output as it is made. It ends where the model ends it (eos_token_id of
generation_config.json or config.json), before a --stop text, or after --max-tokens. After the
prompt and every --every tokens the cache is compressed to --budget of the length; pages come back
when they matter, and are never waited for.

)";

struct GenerateFlags {
  CommonFlags common;
  SequenceOptions method;
  std::string prompt;
  std::string prompt_file;
  std::string ids;
  SamplingOptions sampling;
  int seed = 0;
  std::vector<std::string> stop;
  int max_tokens = 256;
  int every = 256;
  std::string json;
  bool stats = false;
};

FlagTable MakeTable(GenerateFlags* flags) {
  FlagTable table("pinboard generate");
  AddModelFlags(&table, &flags->common);
  table.Section("Text");
  table.Text("prompt", "TEXT", "What to continue.", &flags->prompt);
  table.Text("prompt-file", "FILE", "The same from a file.", &flags->prompt_file);
  table.Text(
      "ids", "1,2,3",
      "The same as token ids, begin-of-text included. With --json the model needs no tokenizer.",
      &flags->ids);
  table.Int("max-tokens", "N", "Stop after N tokens, or where the model ends the text.", 1, 1 << 20,
            &flags->max_tokens);
  table.Texts("stop", "TEXT",
              "Stop where TEXT comes up, and leave it out. May be given more than once.",
              &flags->stop);
  table.Text("json", "OUT",
             "Write prompt, tokens, text and statistics there instead; - is "
             "standard output.",
             &flags->json);
  table.Switch("stats", "Cache statistics on standard error, though it is no terminal.",
               &flags->stats);
  table.Section("Sampling");
  table.Real("temperature", "T", "Draw from softmax(logits / T); 0 takes the best token.",
             &flags->sampling.temperature);
  table.Int("top-k", "K", "Draw from the K best tokens. What is less likely is never drawn.", 1,
            MaxTopK(), &flags->sampling.top_k);
  table.Real("top-p", "P", "Of those, draw from the likeliest that together have this share.",
             &flags->sampling.top_p);
  table.Int("seed", "S", "The same seed draws the same tokens.", 0, std::numeric_limits<int>::max(),
            &flags->seed);
  table.Section("Cache");
  table.Text("policy", "P",
             "full, random, recency, random-prompt, recency-prompt, snapkv, pyramidkv, h2o, "
             "infokv or pinboard.",
             &flags->method.policy);
  table.Real("budget", "SHARE", "Rows kept, as a share of the length, in (0, 1].",
             &flags->method.budget);
  AddMethodFlags(&table, &flags->method);
  table.Int("every", "N", "Generated tokens between compressions.", 1, 1 << 20, &flags->every);
  AddRunFlags(&table, &flags->common);
  return table;
}

absl::StatusOr<std::string> ReadText(const std::string& path) {
  std::ifstream file(path);
  if (!file) return absl::NotFoundError(absl::StrCat("--prompt-file: cannot read ", path));
  return std::string(std::istreambuf_iterator<char>(file), {});
}

absl::StatusOr<std::vector<std::int32_t>> PromptIds(const GenerateFlags& flags, int vocab_size,
                                                    LazyTokenizer& tokenizer) {
  std::vector<std::int32_t> ids;
  if (!flags.ids.empty()) {
    PB_RETURN_IF_ERROR(ParseIds(flags.ids, &ids));
    for (const std::int32_t id : ids) {
      if (id < vocab_size) continue;
      return absl::InvalidArgumentError(
          absl::StrCat("--ids: ", id, " is out of range: the model has 0 to ", vocab_size - 1));
    }
    return ids;
  }
  std::string text = flags.prompt;
  if (!flags.prompt_file.empty()) {
    PB_ASSIGN_OR_RETURN(text, ReadText(flags.prompt_file));
  }
  PB_ASSIGN_OR_RETURN(ids, tokenizer.Vocabulary(vocab_size).encode(text, /*starts_text=*/true));
  if (ids.empty()) return absl::InvalidArgumentError("the prompt is empty: give it some text");
  return ids;
}

SamplingOptions Sampling(const GenerateFlags& flags) {
  SamplingOptions sampling = flags.sampling;
  sampling.seed = static_cast<std::uint64_t>(flags.seed);
  return sampling;
}

/// Stop texts are found in text: they need the tokenizer that ids alone do not.
absl::Status CheckStops(const GenerateFlags& flags, LazyTokenizer& tokenizer) {
  if (flags.stop.empty()) return absl::OkStatus();
  for (const std::string& stop : flags.stop) {
    if (stop.empty()) return absl::InvalidArgumentError("--stop: give it some text");
  }
  return tokenizer.Get().status();
}

absl::Status Validate(const GenerateFlags& flags) {
  PB_RETURN_IF_ERROR(CheckCommon(flags.common));
  const int given = (flags.prompt.empty() ? 0 : 1) + (flags.prompt_file.empty() ? 0 : 1) +
                    (flags.ids.empty() ? 0 : 1);
  if (given != 1) {
    return absl::InvalidArgumentError("give one of --prompt, --prompt-file and --ids");
  }
  PB_ASSIGN_OR_RETURN(
      const std::vector<Arm> arms,
      ParseArms(flags.method.policy, absl::StrCat(flags.method.budget), flags.method, true));
  PB_RETURN_IF_ERROR(CheckTables(arms, flags.common.tables == "layer"));
  PB_RETURN_IF_ERROR(CheckSampling(Sampling(flags)));
  if (!flags.json.empty()) PB_RETURN_IF_ERROR(CheckWritable(flags.json));
  PB_ASSIGN_OR_RETURN(const auto config, CheckModel(flags.common.model, flags.common.tp));
  LazyTokenizer tokenizer(flags.common.model);
  PB_RETURN_IF_ERROR(CheckStops(flags, tokenizer));
  return PromptIds(flags, config.vocab_size, tokenizer).status();
}

/// Null for a model without one, where ids go in and come out.
absl::StatusOr<const engine::Tokenizer*> OutputTokenizer(const GenerateFlags& flags,
                                                         LazyTokenizer& lazy) {
  auto tokenizer = lazy.Get();
  const bool ids_only = !flags.ids.empty() && !flags.json.empty() && flags.stop.empty();
  if (ids_only && absl::IsNotFound(tokenizer.status())) return nullptr;
  return tokenizer;
}

absl::Status Report(const GenerateFlags& flags, const GenerateReport& report) {
  if (flags.stats || isatty(STDERR_FILENO) == 1) std::fputs(Statistics(report).c_str(), stderr);
  return flags.json.empty() ? absl::OkStatus() : WriteJson(report, flags.json);
}

absl::Status RunGenerate(const GenerateFlags& flags, const RankContext& rank) {
  PB_ASSIGN_OR_RETURN(const auto config, CheckModel(flags.common.model, flags.common.tp));
  LazyTokenizer lazy(flags.common.model);
  PB_ASSIGN_OR_RETURN(const auto prompt, PromptIds(flags, config.vocab_size, lazy));
  PB_ASSIGN_OR_RETURN(const engine::Tokenizer* tokenizer, OutputTokenizer(flags, lazy));
  SessionOptions session_options = ToSessionOptions(flags.common);
  session_options.cache_blocks =
      CacheBlocksNeeded(prompt.size(), flags.max_tokens, flags.common.block_size);
  session_options.observe_all_queries = flags.method.policy == "h2o";
  PB_ASSIGN_OR_RETURN(auto session, RankSession::Open(session_options, rank));

  GenerationOptions options;
  options.sequence = flags.method;
  options.sampling = Sampling(flags);
  options.max_tokens = flags.max_tokens;
  options.round_every = flags.every;
  GeneratedText text(tokenizer, flags.stop);
  const bool streams = session->is_first() && flags.json.empty();
  PB_ASSIGN_OR_RETURN(
      Generation made,
      Generate(*session, prompt, options, [&](std::int32_t id) -> absl::StatusOr<bool> {
        if (tokenizer == nullptr) return true;
        PB_ASSIGN_OR_RETURN(const std::string piece, text.Push(id));
        if (streams) PB_RETURN_IF_ERROR(WriteOutput("-", piece));
        return !text.stopped();
      }));
  if (!session->is_first()) return absl::OkStatus();
  const std::string rest = text.Finish();
  if (streams) PB_RETURN_IF_ERROR(WriteOutput("-", rest + "\n"));
  return Report(flags, {.made = std::move(made),
                        .stats = session->shard().stats(),
                        .prompt_tokens = static_cast<int>(prompt.size()),
                        .tp = rank.tp,
                        .row_bytes = session->engine().RowBytes(),
                        .has_text = tokenizer != nullptr,
                        .text = text.text()});
}

GroupOptions MakeGroupOptions(const GenerateFlags& flags) {
  GroupOptions options = ToGroupOptions(flags.common);
  const bool offloads = flags.method.policy != "full" && flags.method.band > 0;
  if (options.service == "auto" && !offloads) options.service = "none";
  return options;
}

}  // namespace

int GenerateCommand(absl::Span<const std::string> arguments, char** argv) {
  GenerateFlags flags;
  const FlagTable table = MakeTable(&flags);
  if (const absl::Status parsed = table.Parse(arguments); !parsed.ok()) return UsageError(parsed);
  if (flags.common.help) {
    std::printf("%s%s", kUsage, table.Help().c_str());
    return 0;
  }
  return RunRankGroup(
      MakeGroupOptions(flags), argv, [&] { return Validate(flags); },
      [&](const RankContext& rank) { return RunGenerate(flags, rank); });
}

}  // namespace pinboard::app
