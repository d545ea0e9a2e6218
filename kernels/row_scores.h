// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Products of queries with many rows and the softmax over them, in an order that never changes.
#pragma once

#include <cstdint>

namespace pinboard::kernels {

/// Rows are scored this many at a time; buffers over rows are padded to a multiple of it.
inline constexpr int kTileRows = 64;

constexpr std::int64_t PaddedRows(std::int64_t rows) {
  return (rows + kTileRows - 1) / kTileRows * kTileRows;
}

/// scores[i * stride + t] = factor * sum over d of queries[i * dim + d] * tile[d * kTileRows + t]
/// for i < count, t < kTileRows. Each sum runs over d in ascending order, in float.
void TileScores(const float* queries, int count, int dim, const float* tile, float factor,
                float* scores, std::int64_t stride);

/// The functions below take a padded number of rows.
float MaxScore(const float* scores, std::int64_t padded_rows);

/// Replaces each score by exp(score - max), with max >= every score, and returns the sum, in
/// double.
double ExpAndSum(float* scores, std::int64_t padded_rows, float max);

/// shares[r] += weight * exps[r], in double.
void AddWeighted(const float* exps, std::int64_t padded_rows, double weight, double* shares);

}  // namespace pinboard::kernels
