// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "app/size/known_models.h"

#include "absl/strings/str_join.h"

namespace pinboard::app {
namespace {

constexpr AttentionShape kDeepseekV3 = {
    .layers = 61, .heads = 128, .kv_heads = 1, .latent_dim = 512, .rotary_dim = 64};

// From the models' published config.json.
constexpr KnownModel kModels[] = {
    {"llama-2-7b", {.layers = 32, .heads = 32, .kv_heads = 32, .head_dim = 128}},
    {"llama-3.1-8b", {.layers = 32, .heads = 32, .kv_heads = 8, .head_dim = 128}},
    {"llama-3.1-70b", {.layers = 80, .heads = 64, .kv_heads = 8, .head_dim = 128}},
    {"llama-3.2-1b", {.layers = 16, .heads = 32, .kv_heads = 8, .head_dim = 64}},
    {"llama-3.2-3b", {.layers = 28, .heads = 24, .kv_heads = 8, .head_dim = 128}},
    {"deepseek-v3", kDeepseekV3},
    {"deepseek-r1", kDeepseekV3},
};

}  // namespace

absl::Span<const KnownModel> KnownModels() { return kModels; }

std::string KnownModelNames() {
  return absl::StrJoin(
      kModels, ", ", [](std::string* text, const KnownModel& model) { text->append(model.name); });
}

}  // namespace pinboard::app
