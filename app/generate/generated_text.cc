// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "app/generate/generated_text.h"

#include "base/status_macros.h"

namespace pinboard::app {

absl::StatusOr<std::string> GeneratedText::Push(std::int32_t id) {
  PB_ASSIGN_OR_RETURN(const std::string piece, decoder_.Push(id));
  std::string shown = stops_.Push(piece);
  text_ += shown;
  return shown;
}

std::string GeneratedText::Finish() {
  std::string shown = stops_.Push(decoder_.Finish());
  shown += stops_.Finish();
  text_ += shown;
  return shown;
}

}  // namespace pinboard::app
