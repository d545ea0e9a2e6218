// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The printable characters by which byte-level BPE writes bytes, and UTF-8 itself.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace pinboard::engine {

inline constexpr std::uint32_t kNoCharacter = 0xffffffffU;

/// One character of UTF-8 text.
struct Utf8Character {
  std::uint32_t code_point = kNoCharacter;
  int bytes = 1;  // where there is no valid character: bytes to skip
};

/// The character that begins at text[offset]. Where the bytes there are no character, kNoCharacter
/// and the length of the longest beginning of one (so each maximal invalid part is one
/// replacement). `complete` false: the text ends inside a character that could still be valid.
Utf8Character NextCharacter(const std::string& text, std::size_t offset, bool* complete);

void AppendUtf8(std::uint32_t code_point, std::string* out);

/// The byte-level alphabet of GPT-2: bytes that print stand for themselves, the others for the
/// characters from U+0100 on.
class ByteAlphabet {
 public:
  static const ByteAlphabet& Get();

  /// `bytes` written in the alphabet.
  std::string Encode(const std::string& bytes) const;
  /// The bytes that `token` writes; none where a character is not of the alphabet.
  std::optional<std::string> Decode(const std::string& token) const;

 private:
  ByteAlphabet();
  std::string characters_[256];  // UTF-8
  int bytes_[0x200];             // by code point; -1: not of the alphabet
};

}  // namespace pinboard::engine
