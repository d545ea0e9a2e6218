// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Where --json writes.
#pragma once

#include <string>

#include "absl/status/status.h"

namespace pinboard::app {

/// Found out before hours of work, not after: OK where `path` ("-": standard output) can be
/// written. An existing file stays as it is. InvalidArgument names the path and the reason.
absl::Status CheckWritable(const std::string& path);

/// Replaces what the file held, or writes to standard output. Unavailable: a full disk, say.
absl::Status WriteOutput(const std::string& path, const std::string& text);

}  // namespace pinboard::app
