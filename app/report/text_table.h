// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Columns for a terminal.
#pragma once

#include <string>
#include <vector>

namespace pinboard::app {

using TextRow = std::vector<std::string>;

/// One line per row, two spaces between columns; the first column is aligned to the left, the
/// others to the right; no line ends in spaces. All rows have as many cells as the first; there is
/// at least one.
std::string AlignedTable(const std::vector<TextRow>& rows);

}  // namespace pinboard::app
