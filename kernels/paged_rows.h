// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Where a row of a paged cache lies, and the checks every operation on one begins with.
#pragma once

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/host_device.h"
#include "pinboard/kv_layout.h"

namespace pinboard::kernels {

/// The values of one head of physical row `row`.
PB_HOST_DEVICE inline std::byte* RowAddress(const KvPlane& plane, const std::int32_t* block_table,
                                            int block_size, std::int64_t row, int head) {
  return plane.base + block_table[row / block_size] * plane.block_stride +
         (row % block_size) * plane.token_stride + head * plane.head_stride;
}

/// One layer's cache seen through a block table: what the operations' arguments have in common.
struct PagedLayer {
  const KvLayerView& cache;
  const KvShape& shape;
  int block_size = 0;
  absl::Span<const std::int32_t> block_table;
};

/// OK if the shape is sound, keys have an address and the first `rows` rows are in the block table.
/// Otherwise InvalidArgument, beginning with the name of `operation`.
absl::Status CheckKeys(absl::string_view operation, const PagedLayer& layer, std::int64_t rows);

/// The same for keys and values.
absl::Status CheckRows(absl::string_view operation, const PagedLayer& layer, std::int64_t rows);

/// OK if `order` names each of the rows [0, order.size()) once.
absl::Status CheckPermutation(absl::string_view operation, absl::Span<const std::int32_t> order);

/// OK if a row can be cut into heads at all: positive sizes, one head where the value lies in the
/// key, and for kF8DsMla such a value in whole tiles.
absl::Status CheckShape(absl::string_view operation, const KvShape& shape);

}  // namespace pinboard::kernels
