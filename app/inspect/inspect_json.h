// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What a service has, for programs.
#pragma once

#include <string>

#include "app/inspect/holdings.h"

namespace pinboard::app {

/// One JSON object on one line; app/README.md has its fields. Groups and sequences are in the
/// order of the table.
std::string InspectJson(const Inspection& inspection);

}  // namespace pinboard::app
