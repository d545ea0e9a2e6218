// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Where the suites that come with Pinboard lie.
#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace pinboard::app {

/// "builtin:NAME" becomes the path of NAME.jsonl: beside an installed program in
/// ../share/pinboard/suites, else in the source tree it was built from. Anything else is a path
/// already. NotFound: no such suite; the message lists those there are.
absl::StatusOr<std::string> ResolveSuite(const std::string& suite);

}  // namespace pinboard::app
