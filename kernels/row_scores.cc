// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "kernels/row_scores.h"

#include <limits>

#include "kernels/portable_math.h"
#include "kernels/vector_clones.h"

namespace pinboard::kernels {
namespace {

constexpr int kLanes = 16;
constexpr int kQueriesAtOnce = 4;

/// Independent sums side by side; only loads, products, sums and stores of whole vectors.
using Lanes =
    float __attribute__((vector_size(kLanes * sizeof(float)), aligned(alignof(float)), may_alias));

}  // namespace

PB_VECTOR_CLONES void TileScores(const float* queries, int count, int dim, const float* tile,
                                 float factor, float* scores, std::int64_t stride) {
  for (int first = 0; first < count; first += kQueriesAtOnce) {
    const int some = count - first < kQueriesAtOnce ? count - first : kQueriesAtOnce;
    const float* query[kQueriesAtOnce];  // the last one repeated where fewer are left
    for (int i = 0; i < kQueriesAtOnce; ++i) {
      query[i] = queries + std::int64_t{first + (i < some ? i : some - 1)} * dim;
    }
    for (int lane = 0; lane < kTileRows; lane += kLanes) {
      Lanes sum[kQueriesAtOnce] = {};
      for (int d = 0; d < dim; ++d) {
        const Lanes keys = *reinterpret_cast<const Lanes*>(tile + d * kTileRows + lane);
        for (int i = 0; i < kQueriesAtOnce; ++i) sum[i] += query[i][d] * keys;
      }
      for (int i = 0; i < some; ++i) {
        *reinterpret_cast<Lanes*>(scores + (first + i) * stride + lane) = factor * sum[i];
      }
    }
  }
}

PB_VECTOR_CLONES float MaxScore(const float* scores, std::int64_t padded_rows) {
  float lanes[kLanes];
  for (float& lane : lanes) lane = -std::numeric_limits<float>::infinity();
  for (std::int64_t r = 0; r < padded_rows; r += kLanes) {
    for (int l = 0; l < kLanes; ++l) lanes[l] = scores[r + l] > lanes[l] ? scores[r + l] : lanes[l];
  }
  float max = lanes[0];
  for (const float lane : lanes) max = lane > max ? lane : max;
  return max;
}

PB_VECTOR_CLONES double ExpAndSum(float* scores, std::int64_t padded_rows, float max) {
  double lanes[kLanes] = {};
  for (std::int64_t r = 0; r < padded_rows; r += kLanes) {
    for (int l = 0; l < kLanes; ++l) scores[r + l] = ExpOfNonPositive(scores[r + l] - max);
    for (int l = 0; l < kLanes; ++l) lanes[l] += static_cast<double>(scores[r + l]);
  }
  double sum = 0.0;
  for (const double lane : lanes) sum += lane;
  return sum;
}

PB_VECTOR_CLONES void AddWeighted(const float* exps, std::int64_t padded_rows, double weight,
                                  double* shares) {
  for (std::int64_t r = 0; r < padded_rows; ++r) {
    shares[r] += weight * static_cast<double>(exps[r]);
  }
}

}  // namespace pinboard::kernels
