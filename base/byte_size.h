// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Sizes in bytes, as people write and read them.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace pinboard {

/// Reads a whole number with an optional unit B, KiB, MiB, GiB or TiB: "512MiB", "4096", "2 GiB".
/// Units of ten (kB, MB) are refused rather than guessed at. Errors: InvalidArgument for text that
/// is no size, OutOfRange for one that does not fit 64 bits.
absl::StatusOr<std::uint64_t> ParseByteSize(absl::string_view text);

/// The largest unit that gives at least 1, with one decimal unless exact: "512 MiB", "1.5 GiB".
std::string FormatByteSize(std::uint64_t bytes);

}  // namespace pinboard
