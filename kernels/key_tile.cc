// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "kernels/key_tile.h"

#include "kernels/key_values.h"

namespace pinboard::kernels {
namespace {

template <DType dtype>
void LoadTileAs(const PagedLayer& layer, int head, std::int64_t first, std::int64_t rows,
                float* tile) {
  const HeadFormat format = FormatOf(layer.shape, layer.cache.key, head);
  for (std::int64_t t = 0; t < rows; ++t) {
    const std::byte* key =
        RowAddress(layer.cache.key, layer.block_table.data(), layer.block_size, first + t, head);
    for (int d = 0; d < layer.shape.key_dim; ++d) {
      tile[d * kTileRows + t] = ReadValue<dtype>(key, d, format);
    }
  }
}

}  // namespace

void LoadKeyTile(const PagedLayer& layer, int head, std::int64_t first, std::int64_t rows,
                 float* tile) {
  WithDType(layer.shape.dtype,
            [&](auto dtype) { LoadTileAs<dtype>(layer, head, first, rows, tile); });
}

}  // namespace pinboard::kernels
