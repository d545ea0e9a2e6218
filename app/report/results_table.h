// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Results for people.
#pragma once

#include <string>

#include "app/report/results.h"

namespace pinboard::app {

/// Quality beside GPU bytes, one aligned line per arm, with a line that says what the columns are.
std::string ResultsTable(const EvalResults& results);

}  // namespace pinboard::app
