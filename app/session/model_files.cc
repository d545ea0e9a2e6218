// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "app/session/model_files.h"

#include "base/status_macros.h"
#include "engine/rank_plan.h"

namespace pinboard::app {

absl::StatusOr<engine::ModelConfig> CheckModel(const std::string& model_dir, int tp) {
  PB_ASSIGN_OR_RETURN(engine::ModelConfig config, engine::LoadModelConfig(model_dir));
  PB_RETURN_IF_ERROR(engine::MakeRankPlan(config, 0, tp).status());
  return config;
}

absl::StatusOr<const engine::Tokenizer*> LazyTokenizer::Get() {
  if (model_dir_.empty()) {
    return absl::NotFoundError(
        "random weights have no tokenizer: give token ids (--ids, --prompt-tokens, lists in a "
        "file), and take what is generated as JSON (--json -)");
  }
  if (tokenizer_ == nullptr) {
    PB_ASSIGN_OR_RETURN(tokenizer_, engine::Tokenizer::Load(model_dir_));
  }
  return tokenizer_.get();
}

TokenVocabulary LazyTokenizer::Vocabulary(int vocab_size) {
  return {vocab_size,
          [this](const std::string& text,
                 bool starts_text) -> absl::StatusOr<std::vector<std::int32_t>> {
            PB_ASSIGN_OR_RETURN(const engine::Tokenizer* tokenizer, Get());
            return tokenizer->Encode(text, {.add_special_tokens = starts_text});
          }};
}

}  // namespace pinboard::app
