// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "engine/tokenizer/normalization.h"

#include <algorithm>
#include <iterator>

namespace pinboard::engine {
namespace {

struct CharacterRange {
  std::uint32_t first;
  std::uint32_t last;
};

constexpr CharacterRange kNormalised[] = {
    {0x0000, 0x02ff},    // Latin, phonetic
    {0x0388, 0x0482},    // Greek, Cyrillic
    {0x048a, 0x052f},    // Cyrillic
    {0x1e00, 0x1eff},    // Latin with marks
    {0x2002, 0x20cf},    // punctuation, currency
    {0x2100, 0x2125},    // letterlike symbols
    {0x212c, 0x2328},    // symbols, arrows, mathematics
    {0x232b, 0x2adb},    // technical, boxes, symbols, dingbats
    {0x3000, 0x3029},    // CJK punctuation
    {0x3030, 0x3098},    // hiragana
    {0x309b, 0x312f},    // katakana, bopomofo
    {0x3400, 0x9fff},    // Han
    {0xac00, 0xd7a3},    // Hangul syllables
    {0xff00, 0xffef},    // fullwidth forms
    {0x1f300, 0x1faff},  // emoji
    {0x20000, 0x2a6df},  // Han
};

}  // namespace

bool IsNormalisedAlone(std::uint32_t code_point) {
  return std::any_of(std::begin(kNormalised), std::end(kNormalised), [&](CharacterRange range) {
    return range.first <= code_point && code_point <= range.last;
  });
}

}  // namespace pinboard::engine
