// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "engine/tokenizer/byte_alphabet.h"

#include <algorithm>
#include <iterator>

namespace pinboard::engine {
namespace {

/// What a first byte promises: the number of bytes, and the range of the second one (which rules
/// out overlong forms, surrogates and code points past U+10FFFF).
struct Lead {
  int bytes = 0;  // 0: no character begins so
  unsigned second_low = 0x80;
  unsigned second_high = 0xbf;
};

Lead LeadOf(unsigned byte) {
  if (byte < 0x80) return {1};
  if (byte < 0xc2) return {0};
  if (byte < 0xe0) return {2};
  if (byte == 0xe0) return {3, 0xa0, 0xbf};
  if (byte == 0xed) return {3, 0x80, 0x9f};
  if (byte < 0xf0) return {3};
  if (byte == 0xf0) return {4, 0x90, 0xbf};
  if (byte < 0xf4) return {4};
  if (byte == 0xf4) return {4, 0x80, 0x8f};
  return {0};
}

bool Prints(int byte) {
  return (byte >= '!' && byte <= '~') || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
}

}  // namespace

Utf8Character NextCharacter(const std::string& text, std::size_t offset, bool* complete) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[offset + i]); };
  *complete = true;
  const Lead lead = LeadOf(byte(0));
  if (lead.bytes <= 1) return {lead.bytes == 1 ? byte(0) : kNoCharacter, 1};
  std::uint32_t code_point = byte(0) & (0x7fU >> lead.bytes);
  for (int i = 1; i < lead.bytes; ++i) {
    if (offset + i == text.size()) {
      *complete = false;
      return {kNoCharacter, i};
    }
    const unsigned low = i == 1 ? lead.second_low : 0x80;
    const unsigned high = i == 1 ? lead.second_high : 0xbf;
    if (byte(i) < low || byte(i) > high) return {kNoCharacter, i};
    code_point = code_point << 6 | (byte(i) & 0x3fU);
  }
  return {code_point, lead.bytes};
}

void AppendUtf8(std::uint32_t code_point, std::string* out) {
  const auto tail = [&](int shift) {
    out->push_back(static_cast<char>(0x80U | (code_point >> shift & 0x3fU)));
  };
  if (code_point < 0x80) {
    out->push_back(static_cast<char>(code_point));
  } else if (code_point < 0x800) {
    out->push_back(static_cast<char>(0xc0U | code_point >> 6));
    tail(0);
  } else if (code_point < 0x10000) {
    out->push_back(static_cast<char>(0xe0U | code_point >> 12));
    tail(6);
    tail(0);
  } else {
    out->push_back(static_cast<char>(0xf0U | code_point >> 18));
    tail(12);
    tail(6);
    tail(0);
  }
}

const ByteAlphabet& ByteAlphabet::Get() {
  static const ByteAlphabet alphabet;
  return alphabet;
}

ByteAlphabet::ByteAlphabet() {
  std::fill(std::begin(bytes_), std::end(bytes_), -1);
  std::uint32_t next = 0x100;
  for (int byte = 0; byte < 256; ++byte) {
    const std::uint32_t code_point = Prints(byte) ? byte : next++;
    AppendUtf8(code_point, &characters_[byte]);
    bytes_[code_point] = byte;
  }
}

std::string ByteAlphabet::Encode(const std::string& bytes) const {
  std::string out;
  for (const char byte : bytes) out += characters_[static_cast<unsigned char>(byte)];
  return out;
}

std::optional<std::string> ByteAlphabet::Decode(const std::string& token) const {
  std::string out;
  for (std::size_t offset = 0; offset < token.size();) {
    bool complete = true;
    const Utf8Character character = NextCharacter(token, offset, &complete);
    if (character.code_point >= std::size(bytes_) || bytes_[character.code_point] < 0) {
      return std::nullopt;
    }
    out.push_back(static_cast<char>(bytes_[character.code_point]));
    offset += character.bytes;
  }
  return out;
}

}  // namespace pinboard::engine
