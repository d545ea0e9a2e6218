// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "shard/census.h"

#include <xxhash.h>

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "shard/block_tables.h"

namespace pinboard {
namespace {

absl::Status CheckLayer(const SequenceState& state, int l) {
  const std::vector<std::int32_t>& positions = state.layers[l].positions;
  absl::flat_hash_set<std::int32_t> seen;
  for (int row = 0; row < state.layers[l].rows(); ++row) {
    const std::int32_t position = positions[row];
    if (position < 0 || position >= state.length || !seen.insert(position).second) {
      return absl::InternalError(absl::StrCat("census: layer ", l, " row ", row, " holds position ",
                                              position,
                                              ", which is attended twice or out of range"));
    }
    if (row > state.layers[l].ring_rows() && positions[row - 1] >= position) {
      return absl::InternalError(
          absl::StrCat("census: layer ", l, " row ", row, " is out of order"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<std::uint64_t>> HashRows(Operations& operations, const ShardModel& model,
                                                    int layer,
                                                    absl::Span<const std::int32_t> block_table,
                                                    absl::Span<const std::int32_t> rows) {
  const std::size_t row_bytes = model.kv.RowBytes();
  std::vector<std::byte> bytes(rows.size() * row_bytes);
  PB_RETURN_IF_ERROR(operations.ReadRows(
      {model.cache[layer], model.kv, model.block_size, block_table}, rows, absl::MakeSpan(bytes)));
  PB_RETURN_IF_ERROR(operations.Finish());
  std::vector<std::uint64_t> hashes;
  hashes.reserve(rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    hashes.push_back(XXH3_64bits(bytes.data() + i * row_bytes, row_bytes));
  }
  return hashes;
}

absl::Status CheckSequence(const ShardModel& model, const SequenceState& state,
                           const BlockTables& tables) {
  // Layers that lie in the same memory share its blocks.
  absl::flat_hash_set<std::pair<const std::byte*, std::int32_t>> used;
  for (std::size_t i = 0; i < tables.size(); ++i) {
    for (const std::int32_t block : tables[i]) {
      if (used.insert({model.cache[i].key.base, block}).second) continue;
      return absl::InternalError(
          absl::StrCat("census: layer ", i, ": block ", block, " is used twice"));
    }
  }
  for (int l = 0; l < model.layers; ++l) {
    const int rows = state.layers[l].rows();
    const auto slots = TableOf(tables, l).size() * static_cast<std::size_t>(model.block_size);
    if (slots < static_cast<std::size_t>(rows)) {
      return absl::InternalError(
          absl::StrCat("census: layer ", l, " has ", rows, " rows, but ", slots, " slots"));
    }
    PB_RETURN_IF_ERROR(CheckLayer(state, l));
  }
  return absl::OkStatus();
}

}  // namespace pinboard
