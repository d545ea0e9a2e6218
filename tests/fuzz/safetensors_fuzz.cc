// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A file of tensors.
#include <string>

#include "engine/safetensors.h"
#include "tests/fuzz/fuzz_target.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto* bytes = reinterpret_cast<const std::byte*>(data);
  const auto tensors = pinboard::engine::ParseSafetensors({bytes, size}, "model.safetensors");
  if (!tensors.ok()) return 0;
  for (const auto& [name, tensor] : *tensors) {
    const std::size_t offset = tensor.data.empty() ? 0 : tensor.data.data() - bytes;
    pinboard::fuzz::Require(offset <= size && tensor.data.size() <= size - offset,
                            "a tensor lies inside its file");
  }
  return 0;
}
