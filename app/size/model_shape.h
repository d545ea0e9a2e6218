// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The attention of a model that is named or described by a config.json.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "app/size/attention_shape.h"

namespace pinboard::app {

/// `model` is a name of known_models.h or a directory with a Hugging Face config.json, of which
/// nothing else is read. NotFound: neither (the known names are listed). Else as
/// ParseAttentionShape.
absl::StatusOr<AttentionShape> FindAttentionShape(const std::string& model);

/// Reads what decides the size of a cache, of any architecture, also ones the engine cannot run;
/// `path` only names the text in errors. InvalidArgument: a field is missing or makes no sense.
/// Unimplemented: layers whose caches differ from each other or do not grow with every token, such
/// as sliding windows.
absl::StatusOr<AttentionShape> ParseAttentionShape(const std::string& text,
                                                   const std::string& path);

}  // namespace pinboard::app
