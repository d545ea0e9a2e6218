// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The one order in which contributions are added.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "absl/types/span.h"

namespace pinboard::transport {

/// into[i] = contributions[0][i] + contributions[1][i] + ..., added from rank 0 upwards, so that
/// every rank that adds gets the same bits. `into` may be one of the contributions. Integers wrap.
template <typename T>
void SumInRankOrder(absl::Span<const T* const> contributions, absl::Span<T> into) {
  // Integers wrap as unsigned: signed overflow is undefined.
  using Add = typename std::conditional_t<std::is_integral_v<T>, std::make_unsigned<T>,
                                          std::type_identity<T>>::type;
  constexpr std::size_t kBlock = 256;
  std::array<T, kBlock> sum;
  for (std::size_t begin = 0; begin < into.size(); begin += kBlock) {
    const std::size_t count = std::min(kBlock, into.size() - begin);
    std::copy_n(contributions[0] + begin, count, sum.begin());
    for (std::size_t rank = 1; rank < contributions.size(); ++rank) {
      const T* from = contributions[rank] + begin;
      for (std::size_t i = 0; i < count; ++i) {
        sum[i] = static_cast<T>(static_cast<Add>(sum[i]) + static_cast<Add>(from[i]));
      }
    }
    std::copy_n(sum.begin(), count, into.begin() + begin);
  }
}

}  // namespace pinboard::transport
