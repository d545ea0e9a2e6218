// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "shard/census.h"

#include <xxhash.h>

#include <algorithm>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace pinboard {
namespace {

std::uint64_t HashPlaneRow(const KvPlane& plane, int block, int token, int heads, std::size_t bytes,
                           std::uint64_t seed) {
  for (int head = 0; head < heads; ++head) {
    const std::byte* at = plane.base + block * plane.block_stride + token * plane.token_stride +
                          head * plane.head_stride;
    seed = XXH3_64bits_withSeed(at, bytes, seed);
  }
  return seed;
}

absl::Status CheckLayer(const SequenceState& state, int l) {
  const std::vector<std::int32_t>& positions = state.layers[l].positions;
  if (static_cast<int>(positions.size()) != state.rows) {
    return absl::InternalError(absl::StrCat("census: layer ", l, " knows ", positions.size(),
                                            " of ", state.rows, " rows"));
  }
  absl::flat_hash_set<std::int32_t> seen;
  for (int row = 0; row < state.rows; ++row) {
    const std::int32_t position = positions[row];
    if (position < 0 || position >= state.length || !seen.insert(position).second) {
      return absl::InternalError(absl::StrCat("census: layer ", l, " row ", row, " holds position ",
                                              position,
                                              ", which is attended twice or out of range"));
    }
    if (row > state.ring_rows && positions[row - 1] >= position) {
      return absl::InternalError(
          absl::StrCat("census: layer ", l, " row ", row, " is out of order"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

std::vector<std::uint64_t> HashRows(const ShardModel& model, int layer,
                                    absl::Span<const std::int32_t> block_table,
                                    absl::Span<const std::int32_t> rows) {
  const KvShape& kv = model.kv;
  const KvLayerView& view = model.cache[layer];
  std::vector<std::uint64_t> hashes;
  hashes.reserve(rows.size());
  for (const std::int32_t row : rows) {
    const int block = block_table[row / model.block_size];
    const int token = row % model.block_size;
    std::uint64_t hash =
        HashPlaneRow(view.key, block, token, kv.kv_heads, kv.KeyBytes() / kv.kv_heads, 0);
    if (!kv.value_in_key) {
      hash =
          HashPlaneRow(view.value, block, token, kv.kv_heads, kv.ValueBytes() / kv.kv_heads, hash);
    }
    hashes.push_back(hash);
  }
  return hashes;
}

absl::Status CheckSequence(const ShardModel& model, const SequenceState& state,
                           absl::Span<const std::int32_t> block_table) {
  const auto blocks =
      static_cast<std::size_t>((state.rows + model.block_size - 1) / model.block_size);
  if (block_table.size() < blocks) {
    return absl::InternalError(
        absl::StrCat("census: ", state.rows, " rows, but ", block_table.size(), " blocks"));
  }
  absl::flat_hash_set<std::int32_t> owned(block_table.begin(), block_table.end());
  if (owned.size() != block_table.size()) {
    return absl::InternalError("census: a block stands twice in the block table");
  }
  for (std::size_t l = 0; l < state.layers.size(); ++l) {
    PB_RETURN_IF_ERROR(CheckLayer(state, static_cast<int>(l)));
  }
  return absl::OkStatus();
}

}  // namespace pinboard
