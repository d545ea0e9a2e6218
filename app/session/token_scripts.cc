// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "app/session/token_scripts.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "base/status_macros.h"

namespace pinboard::app {
namespace {

/// A script and how far it is.
struct Progress {
  TokenScript* script;
  std::size_t fed = 0;  // of the forced tokens

  bool forcing() const { return fed < script->forced.size(); }
  bool done() const {
    return !forcing() && static_cast<int>(script->generated.size()) >= script->generate;
  }

  absl::Span<const std::int32_t> Next(std::size_t most) const {
    if (forcing()) return script->forced.subspan(fed, most);
    return absl::MakeConstSpan(script->generated).last(1);
  }

  void Take(engine::StepOutput output, std::size_t tokens) {
    if (forcing()) fed += tokens;
    script->logits.insert(script->logits.end(), output.logits.begin(), output.logits.end());
    if (!forcing() && static_cast<int>(script->generated.size()) < script->generate) {
      script->generated.push_back(output.candidates.front().id);
    }
  }
};

}  // namespace

absl::Status RunScripts(RankSession& session, absl::Span<TokenScript> scripts, Feeding feeding) {
  std::vector<Progress> open;
  for (TokenScript& script : scripts) open.push_back({&script});
  while (!open.empty()) {
    std::vector<engine::StepInput> inputs;
    auto room = static_cast<std::size_t>(session.max_step_tokens());
    for (const Progress& progress : open) {
      if (room == 0) break;
      const auto tokens = progress.Next(feeding == Feeding::kWhole ? room : 1);
      inputs.push_back({.sequence = progress.script->sequence,
                        .tokens = tokens,
                        .logits = progress.script->keep_logits ? engine::LogitsWanted::kAll
                                                               : engine::LogitsWanted::kNone});
      room -= tokens.size();
    }
    PB_ASSIGN_OR_RETURN(auto outputs, session.Step(inputs));
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      open[i].Take(std::move(outputs[i]), inputs[i].tokens.size());
    }
    open.erase(std::remove_if(open.begin(), open.end(),
                              [](const Progress& progress) { return progress.done(); }),
               open.end());
  }
  return absl::OkStatus();
}

}  // namespace pinboard::app
