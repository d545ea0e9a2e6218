// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Results for programs.
#pragma once

#include <string>

#include "app/report/results.h"

namespace pinboard::app {

/// A JSON list with one flat object per policy and budget, in the order of the arms; `full`, which
/// ignores the budget, is listed once per budget with the same figures. app/README.md names the
/// fields and their units. recall, kl and nll are null where the suite asks nothing.
std::string ResultsJson(const EvalResults& results);

}  // namespace pinboard::app
