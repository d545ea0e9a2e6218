// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The part of a window's queries that one of several ranks holds.
#pragma once

#include <cstddef>
#include <vector>

namespace pinboard::kernels::checks {

/// [window, local_heads, dim]: of queries [window, heads, dim] the heads of rank `rank`.
inline std::vector<float> RankQueries(const std::vector<float>& queries, int heads, int dim,
                                      int rank, int local_heads) {
  std::vector<float> of_rank;
  const std::size_t step = static_cast<std::size_t>(heads) * dim;
  const std::ptrdiff_t count = std::ptrdiff_t{local_heads} * dim;
  for (std::size_t at = 0; at < queries.size(); at += step) {
    const auto from = queries.begin() + static_cast<std::ptrdiff_t>(at) + rank * count;
    of_rank.insert(of_rank.end(), from, from + count);
  }
  return of_rank;
}

}  // namespace pinboard::kernels::checks
