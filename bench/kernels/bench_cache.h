// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A paged cache of one layer with random contents and blocks in reverse order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

#include "base/dtype.h"
#include "pinboard/kv_layout.h"

namespace pinboard::kernels {

inline constexpr int kBenchBlockSize = 16;

inline constexpr KvShape kTinyGqa{4, 32, 32, false, DType::kBF16};
inline constexpr KvShape kTinyMla{1, 160, 128, true, DType::kBF16};
inline constexpr KvShape kLlama8B{8, 128, 128, false, DType::kBF16};
inline constexpr KvShape kDeepSeekR1{1, 576, 512, true, DType::kBF16};

struct BenchCache {
  BenchCache(const KvShape& kv, int rows) : shape(kv) {
    const int blocks = (rows + kBenchBlockSize - 1) / kBenchBlockSize;
    for (int b = blocks - 1; b >= 0; --b) block_table.push_back(b);
    std::mt19937 random(1);
    std::normal_distribution<float> normal;
    const auto fill = [&](std::vector<std::uint16_t>& values, std::size_t row_bytes) {
      values.resize(blocks * kBenchBlockSize * row_bytes / sizeof(values[0]));
      for (auto& value : values) value = FloatToBFloat16(normal(random));
    };
    fill(keys, shape.KeyBytes());
    fill(values, shape.ValueBytes());
    const auto plane = [&](std::vector<std::uint16_t>& of, std::size_t row_bytes) {
      const auto token = static_cast<std::int64_t>(row_bytes);
      return KvPlane{reinterpret_cast<std::byte*>(of.data()), token * kBenchBlockSize, token,
                     token / shape.kv_heads};
    };
    view.key = plane(keys, shape.KeyBytes());
    if (!shape.value_in_key) view.value = plane(values, shape.ValueBytes());
  }

  KvShape shape;
  std::vector<std::int32_t> block_table;
  std::vector<std::uint16_t> keys;
  std::vector<std::uint16_t> values;
  KvLayerView view;
};

}  // namespace pinboard::kernels
