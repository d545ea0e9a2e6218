// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What a service has, for people.
#pragma once

#include <string>

#include "app/inspect/holdings.h"

namespace pinboard::app {

/// A line for each group, those with most bytes first, below it one for each of its sequences by
/// their numbers, and a last one for all. Long numbers have commas.
std::string InspectTable(const Inspection& inspection);

}  // namespace pinboard::app
