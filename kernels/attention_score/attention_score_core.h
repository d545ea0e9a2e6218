// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The arithmetic of A around the softmax, and its error.
//
// Float error. A logit is a sum of key_dim products in float: it is off by at most
// (key_dim + 1) * 2^-24 * scale * sum |q_d k_d|, which is what its weight is off by relative to
// itself, with twice that in the denominator at worst, plus 2^-22 for exp. Sums over rows, heads
// and queries are in double and add nothing that 2^-30 would show. A log-sum-exp given as a float
// has its own error, which is what the weights of its query are off by relative to themselves.
#pragma once

#include <cstdint>

#include "base/fixed_point.h"
#include "base/host_device.h"

namespace pinboard::kernels {

/// The query heads that read KV head `kv_head` begin here.
PB_HOST_DEVICE inline int FirstQueryHead(int kv_head, int query_heads, int kv_heads) {
  return kv_head * (query_heads / kv_heads);
}

/// The average of the `pool` rows around `row` of shares[0, rows), zeros beyond its ends, in
/// ascending order.
PB_HOST_DEVICE inline double Pooled(const double* shares, std::int64_t rows, std::int64_t row,
                                    int pool) {
  const std::int64_t begin = row - pool / 2 > 0 ? row - pool / 2 : 0;
  const std::int64_t end = row + pool / 2 + 1 < rows ? row + pool / 2 + 1 : rows;
  double sum = 0.0;
  for (std::int64_t r = begin; r < end; ++r) sum += shares[r];
  return sum / pool;
}

/// Whether weights sum up to what softmax can give to one row, and half of that besides: so much
/// that sums over all ranks fit. False for what is not a number.
PB_HOST_DEVICE inline bool IsShare(double pooled, int window, int query_heads) {
  return pooled <= 1.5 * window * query_heads;
}

/// The rank's share of A, from the pooled sum over its heads and all queries.
PB_HOST_DEVICE inline std::int32_t AttentionShare(double pooled, int window,
                                                  int total_query_heads) {
  return ToFixed32(pooled / (static_cast<double>(window) * total_query_heads),
                   kAttentionFractionBits);
}

}  // namespace pinboard::kernels
