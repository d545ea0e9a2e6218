// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Unicode normalisation form C, as far as it can be told without tables.
#pragma once

#include <cstdint>

namespace pinboard::engine {

/// True: text of such characters alone is in normalisation form C (each has combining class 0 and
/// the property NFC_Quick_Check=Yes). Covers Latin, Greek and Cyrillic letters, kana, Han, Hangul
/// syllables, punctuation, symbols and emoji; false for what would need the tables.
bool IsNormalisedAlone(std::uint32_t code_point);

}  // namespace pinboard::engine
