// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace pinboard {

/// The bytes of the file at `path`.
/// Errors: NotFound where there is none; InvalidArgument where it cannot be read (a folder, a
/// failing disk, no permission). One line, which begins with `path`.
absl::StatusOr<std::string> ReadTextFile(const std::string& path);

}  // namespace pinboard
