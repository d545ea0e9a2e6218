// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// tokenizer.json, up to the first byte 0, and a text for it, after.
#include <algorithm>
#include <string>

#include "engine/tokenizer/tokenizer.h"
#include "tests/fuzz/fuzz_target.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string input(reinterpret_cast<const char*>(data), size);
  const std::size_t end = std::min(input.find('\0'), size);
  const auto tokenizer = pinboard::engine::Tokenizer::Parse(input.substr(0, end), "tokenizer.json");
  if (!tokenizer.ok()) return 0;
  const auto ids = (*tokenizer)->Encode(input.substr(std::min(end + 1, size)));
  if (!ids.ok()) return 0;
  for (const std::int32_t id : *ids) {
    pinboard::fuzz::Require(id >= 0 && id < (*tokenizer)->vocab_size(),
                            "ids are of the vocabulary");
  }
  pinboard::fuzz::Require((*tokenizer)->Decode(*ids).ok(), "what was encoded can be decoded");
  return 0;
}
