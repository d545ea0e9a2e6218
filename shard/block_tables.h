// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The block tables that an engine hands in, as the runtime reads them.
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "pinboard/shard.h"

namespace pinboard {

/// InvalidArgument: not as many tables as the model says.
inline absl::Status CheckTables(const ShardModel& model, std::uint64_t sequence,
                                const BlockTables& tables) {
  const int expected = model.layer_tables ? model.layers : 1;
  if (static_cast<int>(tables.size()) == expected) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "sequence ", sequence, " comes with ", tables.size(), " block tables instead of ", expected));
}

/// The table in which a layer's rows lie.
inline absl::Span<const std::int32_t> TableOf(const BlockTables& tables, int layer) {
  const auto& table = tables.size() == 1 ? tables.front() : tables[layer];
  return {table.data(), table.size()};
}

}  // namespace pinboard
