// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// One of eight tensor-parallel ranks of DeepSeek-R1, and its cache: random keys in shuffled blocks.
#pragma once

#include <algorithm>
#include <cstdint>
#include <random>
#include <vector>

#include "bench/device_report.cuh"
#include "kernels/page_transfer/page_transfer_cuda.cuh"
#include "pinboard/kv_layout.h"

namespace pinboard::bench {

inline constexpr int kLayers = 61;
inline constexpr int kRanks = 8;
inline constexpr int kHeads = 16;  // of this rank
inline constexpr int kTotalHeads = kHeads * kRanks;
inline constexpr KvShape kShape{1, 576, 512, true, DType::kBF16};
inline constexpr int kBlockSize = 64;
inline constexpr float kScale = 0.0417F;  // 1 / sqrt(576)
/// Of queries: no row gets so much of one that a log-sum-exp which is only estimated is refused.
inline constexpr float kQueryDeviation = 0.1F;
inline constexpr int kQueryValues = kHeads * kShape.key_dim;
inline constexpr int kWindow = 64;
inline constexpr int kPool = 9;

inline constexpr int kContext = 32'768;  // tokens of a prompt
inline constexpr int kKept = 3'277;      // 10 % of it
inline constexpr int kBandPages = 819;   // 40 % of it, in pages of 16 rows
inline constexpr int kRingPages = 32;

inline void RequireWritten(const kernels::PageScatterBatch& batch) {
  std::vector<kernels::ScatterOutcome> outcomes(batch.count);
  Require(cudaMemcpy(outcomes.data(), batch.outcomes, outcomes.size(), cudaMemcpyDeviceToHost));
  if (std::count(outcomes.begin(), outcomes.end(), kernels::ScatterOutcome::kRefused) > 0) {
    Require(absl::DataLossError("pages do not match their tags"));
  }
}

/// Sequences of so many rows a layer; all layers of one share its block table.
struct RankCache {
  RankCache(int sequences, int rows) {
    const int blocks = BlocksFor(rows, kBlockSize);
    const auto row = static_cast<std::int64_t>(kShape.RowBytes());
    const std::int64_t layer_bytes = row * kBlockSize * blocks * sequences;
    auto* const pool = reinterpret_cast<std::byte*>(
        Bf16Normals(static_cast<std::size_t>(layer_bytes) * kLayers / sizeof(std::uint16_t)));
    for (int layer = 0; layer < kLayers; ++layer) {
      layers.push_back({{pool + layer * layer_bytes, row * kBlockSize, row, row}, {}});
    }
    std::vector<std::int32_t> order = UpTo(blocks * sequences);
    std::shuffle(order.begin(), order.end(), std::mt19937_64(2));
    for (int s = 0; s < sequences; ++s) {
      tables.emplace_back(order.begin() + s * blocks, order.begin() + (s + 1) * blocks);
      device_tables.push_back(Copy(tables.back()));
    }
  }
  void Free() const {
    Require(cudaFree(layers[0].key.base));
    for (const std::int32_t* table : device_tables) {
      Require(cudaFree(const_cast<std::int32_t*>(table)));
    }
  }

  std::vector<KvLayerView> layers;
  std::vector<std::vector<std::int32_t>> tables;   // [sequences], host
  std::vector<const std::int32_t*> device_tables;  // [sequences], device
};

}  // namespace pinboard::bench
