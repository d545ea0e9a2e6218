// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What every implementation of Select must do. Select is any callable with its signature.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

#include "kernels/select/select.h"
#include "tests/support/seeded_random.h"

namespace pinboard::kernels::checks {

struct SelectInput {
  std::vector<std::int64_t> keep_score;
  std::vector<std::int64_t> band_score;
  std::vector<std::uint8_t> is_protected;
  int keep = 0;
  int near = 0;
  int far = 0;

  SelectArgs args() const { return {keep_score, band_score, is_protected, keep, near, far}; }
};

/// By a stable sort of everything: slow and obvious.
inline std::vector<RowClass> NaiveSelect(const SelectInput& in) {
  const std::size_t rows = in.keep_score.size();
  std::vector<RowClass> classes(rows, RowClass::kDropped);
  std::vector<std::size_t> order(rows);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    if (in.is_protected[a] != in.is_protected[b]) return in.is_protected[a] > in.is_protected[b];
    return in.keep_score[a] > in.keep_score[b];
  });
  const auto protected_rows = static_cast<std::size_t>(
      std::count_if(in.is_protected.begin(), in.is_protected.end(), [](int p) { return p != 0; }));
  const std::size_t kept = std::min(rows, std::max<std::size_t>(in.keep, protected_rows));
  for (std::size_t i = 0; i < kept; ++i) classes[order[i]] = RowClass::kKept;
  order.erase(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(kept));
  for (const auto& [score, wanted] :
       {std::pair(&in.keep_score, in.near), {&in.band_score, in.far}}) {
    std::sort(order.begin(), order.end());
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return (*score)[a] > (*score)[b]; });
    const auto taken = static_cast<std::ptrdiff_t>(std::min<std::size_t>(order.size(), wanted));
    for (auto row = order.begin(); row != order.begin() + taken; ++row) {
      classes[*row] = RowClass::kBorderline;
    }
    order.erase(order.begin(), order.begin() + taken);
  }
  return classes;
}

template <typename SelectFn>
void ExpectSelects(SelectFn select, const SelectInput& in, const std::vector<RowClass>& expected) {
  std::vector<RowClass> classes(in.keep_score.size(), RowClass::kBorderline);
  const absl::Status status = select(in.args(), absl::MakeSpan(classes));
  ASSERT_TRUE(status.ok()) << status;
  ASSERT_EQ(classes, expected);
}

inline SelectInput RandomSelectInput(SeededRandom& random, int rows, int distinct_scores) {
  SelectInput in;
  for (int r = 0; r < rows; ++r) {
    in.keep_score.push_back(random.Int(-distinct_scores, distinct_scores));
    in.band_score.push_back(random.Int(0, distinct_scores));
    in.is_protected.push_back(random.Int(0, 9) == 0 ? static_cast<std::uint8_t>(random.Int(1, 3))
                                                    : 0);
  }
  in.keep = random.Int(0, rows + 2);
  in.near = random.Int(0, rows + 2);
  in.far = random.Int(0, rows + 2);
  return in;
}

}  // namespace pinboard::kernels::checks
