// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// config.json of a model.
#include <string>

#include "engine/model_config.h"
#include "tests/fuzz/fuzz_target.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto config = pinboard::engine::ParseModelConfig(
      std::string(reinterpret_cast<const char*>(data), size), "config.json");
  if (config.ok()) {
    pinboard::fuzz::Require(config->attention_scale() > 0, "logits have a scale");
  }
  return 0;
}
