// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The special tokens that a tokenizer puts around a text, BOS above all.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace pinboard::engine {

struct SpecialTokenTemplate {
  std::vector<std::int32_t> before;
  std::vector<std::int32_t> after;
};

/// From tokenizer.json's "post_processor" (may be null): TemplateProcessing's template of one text,
/// ByteLevel (adds nothing), and sequences of them. Unimplemented: another one, by name.
absl::StatusOr<SpecialTokenTemplate> ParseTemplate(const nlohmann::json& object,
                                                   const std::string& path);

}  // namespace pinboard::engine
