// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Keys of a paged cache as the tiles that row_scores.h multiplies.
#pragma once

#include <cstdint>

#include "kernels/paged_rows.h"
#include "kernels/row_scores.h"

namespace pinboard::kernels {

/// tile[d * kTileRows + t] = value d of the key of head `head` in physical row first + t, for
/// t < rows <= kTileRows. The tile is [key_dim, kTileRows]; its other columns stay as they are.
void LoadKeyTile(const PagedLayer& layer, int head, std::int64_t first, std::int64_t rows,
                 float* tile);

}  // namespace pinboard::kernels
