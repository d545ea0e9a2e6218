// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/inventory/watermarks.h"

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace pinboard::cache_service {

absl::StatusOr<Watermarks> ParseWatermarks(const std::string& text) {
  if (text == "none") return Watermarks{1, 1};
  const std::pair<std::string, std::string> parts = absl::StrSplit(text, absl::MaxSplits(':', 1));
  double high = 0;
  double low = 0;
  const bool numbers = absl::SimpleAtod(parts.first, &high) && absl::SimpleAtod(parts.second, &low);
  if (!numbers || !(0 < low && low <= high && high <= 100)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "\"", text, "\" is not two percentages HIGH:LOW with 0 < LOW <= HIGH <= 100, nor none"));
  }
  return Watermarks{high / 100, low / 100};
}

}  // namespace pinboard::cache_service
