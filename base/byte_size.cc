// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "base/byte_size.h"

#include <algorithm>
#include <iterator>
#include <limits>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace pinboard {
namespace {

struct Unit {
  const char* name;
  int shift;
};
constexpr Unit kUnits[] = {{"TiB", 40}, {"GiB", 30}, {"MiB", 20}, {"KiB", 10}, {"B", 0}};

absl::Status NotASize(absl::string_view text) {
  return absl::InvalidArgumentError(absl::StrCat(
      "'", text,
      "' is not a size: write a whole number with B, KiB, MiB, GiB or TiB, e.g. 512MiB"));
}

absl::Status TooLarge(absl::string_view text) {
  return absl::OutOfRangeError(absl::StrCat("the size '", text, "' is beyond 64 bits"));
}

}  // namespace

absl::StatusOr<std::uint64_t> ParseByteSize(absl::string_view text) {
  const absl::string_view trimmed = absl::StripAsciiWhitespace(text);
  const auto digits = std::min(trimmed.find_first_not_of("0123456789"), trimmed.size());
  const absl::string_view unit = absl::StripLeadingAsciiWhitespace(trimmed.substr(digits));
  if (digits == 0) return NotASize(text);

  std::uint64_t number = 0;
  if (!absl::SimpleAtoi(trimmed.substr(0, digits), &number)) return TooLarge(text);
  for (const Unit& candidate : kUnits) {
    if (unit != candidate.name && !(unit.empty() && candidate.shift == 0)) continue;
    if (number > std::numeric_limits<std::uint64_t>::max() >> candidate.shift) {
      return TooLarge(text);
    }
    return number << candidate.shift;
  }
  return NotASize(text);
}

std::string FormatByteSize(std::uint64_t bytes) {
  const Unit& unit = *std::find_if(std::begin(kUnits), std::end(kUnits) - 1,
                                   [&](const Unit& unit) { return bytes >> unit.shift != 0; });
  const std::uint64_t one = std::uint64_t{1} << unit.shift;
  if (bytes % one == 0) return absl::StrCat(bytes / one, " ", unit.name);
  return absl::StrFormat("%.1f %s", static_cast<double>(bytes) / static_cast<double>(one),
                         unit.name);
}

}  // namespace pinboard
