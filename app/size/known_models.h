// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Models that `pinboard size` knows by name.
#pragma once

#include <string>

#include "absl/types/span.h"
#include "app/size/attention_shape.h"

namespace pinboard::app {

struct KnownModel {
  const char* name;
  AttentionShape shape;
};

/// In the order in which they are listed to users.
absl::Span<const KnownModel> KnownModels();

/// "llama-2-7b, ..., deepseek-r1".
std::string KnownModelNames();

}  // namespace pinboard::app
