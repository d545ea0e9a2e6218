// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "app/generate/stop_texts.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"

namespace pinboard::app {
namespace {

/// How many last bytes of `text` begin `stop`, which is not in it.
std::size_t BegunAtTheEnd(absl::string_view text, absl::string_view stop) {
  std::size_t length = std::min(text.size(), stop.size() - 1);
  while (length > 0 && !absl::EndsWith(text, stop.substr(0, length))) --length;
  return length;
}

}  // namespace

std::string StopTexts::Push(absl::string_view piece) {
  if (found_) return "";
  held_.append(piece.data(), piece.size());
  std::size_t end = std::string::npos;
  std::size_t begun = 0;
  for (const std::string& text : texts_) {
    end = std::min(end, held_.find(text));
    begun = std::max(begun, BegunAtTheEnd(held_, text));
  }
  found_ = end != std::string::npos;
  std::string passed = held_.substr(0, found_ ? end : held_.size() - begun);
  held_.erase(0, passed.size());
  return passed;
}

std::string StopTexts::Finish() { return found_ ? "" : std::exchange(held_, ""); }

}  // namespace pinboard::app
