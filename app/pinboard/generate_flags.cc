// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "app/pinboard/generate_flags.h"

#include <cstdint>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "app/eval/arm.h"
#include "app/generate/drawn_prompt.h"
#include "app/generate/prompt_file.h"
#include "app/report/output_file.h"
#include "app/session/model_files.h"
#include "base/status_macros.h"
#include "base/text_file.h"
#include "scheduler/round_trigger.h"

namespace pinboard::app {
namespace {

absl::StatusOr<std::vector<std::int32_t>> PromptIds(const GenerateFlags& flags,
                                                    const TokenVocabulary& vocabulary) {
  std::vector<std::int32_t> ids;
  if (!flags.ids.empty()) {
    PB_RETURN_IF_ERROR(ParseIds(flags.ids, &ids));
    for (const std::int32_t id : ids) {
      if (id < vocabulary.size) continue;
      return absl::InvalidArgumentError(absl::StrCat(
          "--ids: ", id, " is out of range: the model has 0 to ", vocabulary.size - 1));
    }
    return ids;
  }
  if (flags.prompt_tokens > 0) {
    return DrawPrompt(flags.prompt_tokens, vocabulary.size, /*seed=*/0);
  }
  std::string text = flags.prompt;
  if (!flags.prompt_file.empty()) {
    auto read = ReadTextFile(flags.prompt_file);
    if (!read.ok()) {
      return absl::Status(read.status().code(),
                          absl::StrCat("--prompt-file: ", read.status().message()));
    }
    text = *std::move(read);
  }
  PB_ASSIGN_OR_RETURN(ids, vocabulary.encode(text, /*starts_text=*/true));
  if (ids.empty()) return absl::InvalidArgumentError("the prompt is empty: give it some text");
  return ids;
}

/// Stop texts are found in text: they need the tokenizer that ids alone do not.
absl::Status CheckStops(const GenerateFlags& flags, LazyTokenizer& tokenizer) {
  if (flags.stop.empty()) return absl::OkStatus();
  for (const std::string& stop : flags.stop) {
    if (stop.empty()) return absl::InvalidArgumentError("--stop: give it some text");
  }
  return tokenizer.Get().status();
}

/// How each text is compressed, and when.
absl::StatusOr<SequenceOptions> Method(const GenerateFlags& flags) {
  const auto trigger = scheduler::ParseRoundTrigger(flags.when);
  if (!trigger.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("--when: ", trigger.status().message()));
  }
  SequenceOptions method = flags.method;
  method.round_every = trigger->every;
  method.round_watermark = trigger->watermark;
  method.observe = Observes(flags);
  return method;
}

/// The one arm that a text is continued under.
absl::StatusOr<SequenceOptions> OneArm(const std::string& policy, const SequenceOptions& method,
                                       bool has_service, const ArmLimits& limits) {
  PB_ASSIGN_OR_RETURN(const auto arms,
                      ParseArms(policy, absl::StrCat(method.budget), method, has_service));
  if (arms.size() != 1) {
    return absl::InvalidArgumentError("--policy names several: a text is continued under one");
  }
  PB_RETURN_IF_ERROR(CheckArms(arms, limits));
  return arms.front().options;
}

/// What the flags say of each text, but its prompt.
absl::StatusOr<GenerationRequest> Defaults(const GenerateFlags& flags,
                                           const PolicyReader& read_policy) {
  GenerationRequest request;
  PB_ASSIGN_OR_RETURN(request.method, read_policy(flags.method.policy));
  request.max_tokens = flags.max_tokens;
  request.sampling = flags.sampling;
  request.sampling.seed = static_cast<std::uint64_t>(flags.seed);
  PB_RETURN_IF_ERROR(CheckSampling(request.sampling));
  return request;
}

}  // namespace

FlagTable MakeGenerateTable(GenerateFlags* flags) {
  FlagTable table("pinboard generate");
  AddModelFlags(&table, &flags->common);
  table.Section("Text");
  table.Text("prompt", "TEXT", "What to continue.", &flags->prompt);
  table.Text("prompt-file", "FILE", "The same from a file.", &flags->prompt_file);
  table.Text(
      "ids", "1,2,3",
      "The same as token ids, begin-of-text included. With --json the model needs no tokenizer.",
      &flags->ids);
  table.Int("prompt-tokens", "N", "The same as N token ids that are drawn, for tests of load.", 1,
            kMostDrawnTokens, &flags->prompt_tokens);
  table.Text("prompts", "FILE", "Many texts to continue at once; the results are JSON.",
             &flags->prompts);
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
  table.Text("policy", "P", "As of pinboard eval: POLICY[:OPTION=VALUE]...", &flags->method.policy);
  table.Real("budget", "SHARE", "Rows kept, as a share of the length, in (0, 1].",
             &flags->method.budget);
  AddMethodFlags(&table, &flags->method);
  table.Text(
      "when", "WHEN",
      "When a sequence is compressed: every:N, after its prompt and every N tokens, also of a "
      "long prompt; or pressure:W, once the share W of the cache's blocks is in use.",
      &flags->when);
  table.Text("mode", "MODE",
             "compress, or observe: rounds score and plan, and evict nothing; the text is that of "
             "the full cache.",
             &flags->mode);
  table.Text("plans", "FILE", "Write what each round decided there, a line of JSON for each layer.",
             &flags->plans);
  table.Int(
      "cache-blocks", "N",
      "Blocks of the KV cache for all sequences; left out, as many as they need uncompressed.", 1,
      1 << 24, &flags->cache_blocks);
  AddRunFlags(&table, &flags->common);
  return table;
}

absl::StatusOr<std::vector<GenerationRequest>> MakeRequests(const GenerateFlags& flags,
                                                            const TokenVocabulary& vocabulary,
                                                            bool has_service) {
  PB_ASSIGN_OR_RETURN(const SequenceOptions method, Method(flags));
  PB_ASSIGN_OR_RETURN(const ArmLimits limits, ToArmLimits(flags.common));
  const PolicyReader read_policy = [&](const std::string& policy) {
    return OneArm(policy, method, has_service, limits);
  };
  PB_ASSIGN_OR_RETURN(GenerationRequest request, Defaults(flags, read_policy));
  if (!flags.prompts.empty()) return ReadPrompts(flags.prompts, vocabulary, request, read_policy);
  PB_ASSIGN_OR_RETURN(request.prompt, PromptIds(flags, vocabulary));
  return std::vector<GenerationRequest>{std::move(request)};
}

absl::Status CheckGenerateFlags(const GenerateFlags& flags) {
  PB_RETURN_IF_ERROR(CheckCommon(flags.common));
  int given = flags.prompt_tokens > 0 ? 1 : 0;
  for (const std::string* source :
       {&flags.prompt, &flags.prompt_file, &flags.ids, &flags.prompts}) {
    given += source->empty() ? 0 : 1;
  }
  if (given != 1) {
    return absl::InvalidArgumentError(
        "give one of --prompt, --prompt-file, --ids, --prompt-tokens and --prompts");
  }
  if (flags.mode != "compress" && flags.mode != "observe") {
    return absl::InvalidArgumentError(
        absl::StrCat("--mode: '", flags.mode, "' is neither compress nor observe"));
  }
  if (flags.plans == "-") {
    return absl::InvalidArgumentError("--plans: give it a file, standard output has the text");
  }
  for (const std::string* path : {&flags.json, &flags.plans}) {
    if (!path->empty()) PB_RETURN_IF_ERROR(CheckWritable(*path));
  }
  PB_ASSIGN_OR_RETURN(const auto config, CheckModel(flags.common.model, flags.common.tp));
  LazyTokenizer tokenizer(TokenizerDir(flags.common));
  PB_RETURN_IF_ERROR(CheckStops(flags, tokenizer));
  return MakeRequests(flags, tokenizer.Vocabulary(config.vocab_size),
                      flags.common.service != "none")
      .status();
}

}  // namespace pinboard::app
