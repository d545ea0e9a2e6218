// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "kernels/paged_rows.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace pinboard::kernels {

absl::Status CheckShape(absl::string_view operation, const KvShape& shape) {
  if (shape.kv_heads <= 0 || shape.key_dim <= 0 || shape.value_dim <= 0) {
    return absl::InvalidArgumentError(absl::StrCat(operation, ": ", shape.kv_heads, " KV heads of ",
                                                   shape.key_dim, " + ", shape.value_dim,
                                                   " values: all three must be positive"));
  }
  if (shape.value_in_key && (shape.kv_heads != 1 || shape.value_dim > shape.key_dim)) {
    return absl::InvalidArgumentError(absl::StrCat(
        operation, ": a value inside the key needs one KV head and value_dim <= key_dim"));
  }
  if (shape.dtype == DType::kF8DsMla &&
      (!shape.value_in_key || shape.value_dim % kLatentTile != 0)) {
    return absl::InvalidArgumentError(
        absl::StrCat(operation, ": fp8_ds_mla rows hold a latent in tiles of ", kLatentTile,
                     " values inside the key, not ", shape.kv_heads, " KV heads of ", shape.key_dim,
                     " + ", shape.value_dim, ": use kF8E4M3"));
  }
  return absl::OkStatus();
}

absl::Status CheckKeys(absl::string_view operation, const PagedLayer& layer, std::int64_t rows) {
  PB_RETURN_IF_ERROR(CheckShape(operation, layer.shape));
  if (layer.block_size <= 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(operation, ": block_size is ", layer.block_size, ": it must be positive"));
  }
  const std::int64_t blocks = BlocksFor(rows, layer.block_size);
  if (blocks > static_cast<std::int64_t>(layer.block_table.size())) {
    return absl::InvalidArgumentError(absl::StrCat(operation, ": ", rows, " rows need ", blocks,
                                                   " blocks, the block table has ",
                                                   layer.block_table.size()));
  }
  const auto used = layer.block_table.first(static_cast<std::size_t>(blocks));
  if (std::any_of(used.begin(), used.end(), [](std::int32_t block) { return block < 0; })) {
    return absl::InvalidArgumentError(
        absl::StrCat(operation, ": a block of the first ", rows, " rows is not allocated"));
  }
  if (layer.cache.key.base == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat(operation, ": the cache's keys have no address"));
  }
  return absl::OkStatus();
}

absl::Status CheckRows(absl::string_view operation, const PagedLayer& layer, std::int64_t rows) {
  PB_RETURN_IF_ERROR(CheckKeys(operation, layer, rows));
  if (!layer.shape.value_in_key && layer.cache.value.base == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat(operation, ": the cache's values have no address"));
  }
  return absl::OkStatus();
}

absl::Status CheckPermutation(absl::string_view operation, absl::Span<const std::int32_t> order) {
  std::vector<bool> seen(order.size(), false);
  for (const std::int32_t row : order) {
    if (row < 0 || static_cast<std::size_t>(row) >= seen.size() || seen[row]) {
      return absl::InvalidArgumentError(
          absl::StrCat(operation, ": row ", row, " in `order`: name each row once"));
    }
    seen[row] = true;
  }
  return absl::OkStatus();
}

}  // namespace pinboard::kernels
