// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Describes a cache the way an engine does.
#include <cstdio>

#include "pinboard/shard.h"

int main() {
  pinboard::ShardOptions options;
  options.model.layers = 32;
  options.model.kv = {.kv_heads = 8, .key_dim = 128, .value_dim = 128};
  const pinboard::Status status(pinboard::StatusCode::kUnavailable, "rank 1 is lost");
  std::printf("%zu bytes a row; %s\n", options.model.kv.RowBytes(), status.message().c_str());
  return options.model.kv.RowBytes() == 4096 && !status.ok() ? 0 : 1;
}
