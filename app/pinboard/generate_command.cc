// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "app/eval/arm.h"
#include "app/generate/generation.h"
#include "app/pinboard/commands.h"
#include "app/pinboard/common_flags.h"
#include "app/report/output_file.h"
#include "app/session/model_files.h"
#include "base/byte_size.h"
#include "base/status_macros.h"

namespace pinboard::app {
namespace {

constexpr char kUsage[] =
    R"(pinboard generate - continues a text, greedily, under a bounded KV cache.

  pinboard generate --model models/tiny-llama --prompt "def main():"
  pinboard generate --model DIR --prompt-file long.txt --budget 0.1 --tp 2 --stats
  pinboard generate --model DIR --ids 0,17,305 --json -

The text goes to standard output as it is made. After the prompt and every --every tokens the cache
is compressed to --budget of the length; pages come back when they matter, and are never waited for.

)";

struct GenerateFlags {
  CommonFlags common;
  SequenceOptions method;
  std::string prompt;
  std::string prompt_file;
  std::string ids;
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
  table.Text("json", "OUT",
             "Write prompt, tokens, text and statistics there instead; - is "
             "standard output.",
             &flags->json);
  table.Switch("stats", "Cache statistics on standard error, though it is no terminal.",
               &flags->stats);
  table.Section("Cache");
  table.Text("policy", "P",
             "full, random, recency, random-prompt, recency-prompt, snapkv, h2o, "
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

absl::Status Validate(const GenerateFlags& flags) {
  PB_RETURN_IF_ERROR(CheckCommon(flags.common));
  const int given = (flags.prompt.empty() ? 0 : 1) + (flags.prompt_file.empty() ? 0 : 1) +
                    (flags.ids.empty() ? 0 : 1);
  if (given != 1) {
    return absl::InvalidArgumentError("give one of --prompt, --prompt-file and --ids");
  }
  PB_RETURN_IF_ERROR(
      ParseArms(flags.method.policy, absl::StrCat(flags.method.budget), flags.method, true)
          .status());
  if (!flags.json.empty()) PB_RETURN_IF_ERROR(CheckWritable(flags.json));
  PB_ASSIGN_OR_RETURN(const auto config, CheckModel(flags.common.model, flags.common.tp));
  LazyTokenizer tokenizer(flags.common.model);
  return PromptIds(flags, config.vocab_size, tokenizer).status();
}

/// Streams text on the first rank, and what it is doing on a terminal.
class TextOutput {
 public:
  TextOutput(const GenerateFlags& flags, const engine::Tokenizer* tokenizer, bool is_first)
      : streams_(is_first && flags.json.empty()), decoder_(tokenizer) {}

  absl::Status Push(std::int32_t id) {
    if (!streams_) return absl::OkStatus();
    PB_ASSIGN_OR_RETURN(const std::string text, decoder_.Push(id));
    return WriteOutput("-", text);
  }
  absl::Status Finish() {
    return streams_ ? WriteOutput("-", decoder_.Finish() + "\n") : absl::OkStatus();
  }

 private:
  const bool streams_;
  engine::StreamDecoder decoder_;
};

std::string Statistics(const Generation& made, const ShardStats& stats, int prompt_tokens,
                       std::size_t row_bytes, int tp) {
  const double tokens = static_cast<double>(made.ids.size());
  return absl::StrFormat(
      "%d + %d tokens, prefill %.2f s, %.1f tokens/s | cache: %d of %d rows, %s instead of %s, %d "
      "rounds | pages: %d offloaded, %d recalled, %d missed\n",
      prompt_tokens, made.ids.size(), made.prefill_seconds,
      made.decode_seconds > 0 ? tokens / made.decode_seconds : 0.0, made.rows, made.length,
      FormatByteSize(made.kv_bytes * tp), FormatByteSize(row_bytes * made.length * tp), made.rounds,
      stats.pages_offloaded, stats.pages_recalled, stats.misses);
}

absl::Status WriteJson(const std::string& path, const Generation& made, const ShardStats& stats,
                       int prompt_tokens, const nlohmann::ordered_json& text) {
  const nlohmann::ordered_json object{{"prompt_tokens", prompt_tokens},
                                      {"ids", made.ids},
                                      {"text", text},
                                      {"ended", made.ended},
                                      {"length", made.length},
                                      {"rows", made.rows},
                                      {"resident_kv_bytes", made.kv_bytes},
                                      {"rounds", made.rounds},
                                      {"pages_offloaded", stats.pages_offloaded},
                                      {"pages_recalled", stats.pages_recalled},
                                      {"misses", stats.misses},
                                      {"prefill_seconds", made.prefill_seconds},
                                      {"decode_seconds", made.decode_seconds}};
  return WriteOutput(
      path, object.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n");
}

/// Null for a model without one, where ids go in and come out.
absl::StatusOr<const engine::Tokenizer*> OutputTokenizer(const GenerateFlags& flags,
                                                         LazyTokenizer& lazy) {
  auto tokenizer = lazy.Get();
  const bool ids_only = !flags.ids.empty() && !flags.json.empty();
  if (ids_only && absl::IsNotFound(tokenizer.status())) return nullptr;
  return tokenizer;
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
  options.max_tokens = flags.max_tokens;
  options.round_every = flags.every;
  TextOutput output(flags, tokenizer, session->is_first());
  PB_ASSIGN_OR_RETURN(
      const Generation made,
      Generate(*session, prompt, options, [&](std::int32_t id) { return output.Push(id); }));
  if (!session->is_first()) return absl::OkStatus();
  PB_RETURN_IF_ERROR(output.Finish());
  const ShardStats stats = session->shard().stats();
  const int prompt_tokens = static_cast<int>(prompt.size());
  if (flags.stats || isatty(STDERR_FILENO) == 1) {
    std::fputs(
        Statistics(made, stats, prompt_tokens, session->engine().RowBytes(), rank.tp).c_str(),
        stderr);
  }
  if (flags.json.empty()) return absl::OkStatus();
  nlohmann::ordered_json text;
  if (tokenizer != nullptr) {
    PB_ASSIGN_OR_RETURN(text, tokenizer->Decode(made.ids));
  }
  return WriteJson(flags.json, made, stats, prompt_tokens, text);
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
