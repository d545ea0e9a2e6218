// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What the warps of the wgmma passes do with their products.
#pragma once

#include <cstdint>

#include "kernels/attention_score/wgmma_loads.cuh"
#include "kernels/attention_score/wgmma_plan.cuh"

namespace pinboard::kernels::attention_score {

inline constexpr float kLargeSum = 0x1p64F;

/// What a lane holds of a WarpgroupProduct.
using Products = float[64];

/// Where a query's value lies among those that lanes read four at a time: columns 16 m + 2 q,
/// 16 m + 2 q + 1, 16 m + 8 + 2 q and the next for the lanes l of l % 4 = q.
__device__ constexpr int ColumnPlace(int query) {
  return query / 16 * 16 + query % 8 / 2 * 4 + query % 16 / 8 * 2 + query % 2;
}

/// Adds the exponentials of one row of a product: logits in base 2 are scale times its values. A
/// sum is taken against some logit seen before, until that makes it large; then against the
/// largest.
__device__ inline void AddExps(const Products& products, int half, float scale, SumOfExps& sums) {
  const auto add = [&](float sum, float base) {
#pragma unroll
    for (int i = 0; i < 64; i += 4) {
      sum += cuda::Exp2(__fmaf_rn(products[i + 2 * half], scale, -base));
      sum += cuda::Exp2(__fmaf_rn(products[i + 2 * half + 1], scale, -base));
    }
    return sum;
  };
  if (sums.max != -kInfinity) {
    const float sum = add(sums.sum, sums.max);
    if (sum < kLargeSum) {
      sums.sum = sum;
      return;
    }
  }
  float max = sums.max;
#pragma unroll
  for (int i = 0; i < 64; i += 4) {
#pragma unroll
    for (int c = 0; c < 2; ++c) {
      const float logit = products[i + 2 * half + c] * scale;
      max = logit > max ? logit : max;
    }
  }
  const float base = max == -kInfinity ? 0.0F : max;
  sums = {max, add(sums.sum * cuda::Exp2(sums.max - base), base)};
}

/// Adds the weights of two rows of a product. Masked: where the query of a column sees the row.
template <bool kMasked>
__device__ void AddWeights(const Products& products, float scale, const float4* minus_log_sums,
                           const int4* limits, const std::int32_t (&positions)[2],
                           float (&shares)[2]) {
#pragma unroll
  for (int m = 0; m < kPlaneQueries / 16; ++m) {
    const float4 minus = minus_log_sums[4 * m];
    const float minus_log_sum[4] = {minus.x, minus.y, minus.z, minus.w};
    std::int32_t limit[4] = {};
    if constexpr (kMasked) {
      const int4 limits_of_four = limits[4 * m];
      limit[0] = limits_of_four.x;
      limit[1] = limits_of_four.y;
      limit[2] = limits_of_four.z;
      limit[3] = limits_of_four.w;
    }
#pragma unroll
    for (int column = 0; column < 4; ++column) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const float product_of_pair = products[8 * m + column / 2 * 4 + 2 * half + column % 2];
        const float weight = cuda::Exp2(__fmaf_rn(product_of_pair, scale, minus_log_sum[column]));
        if (!kMasked || positions[half] <= limit[column]) shares[half] += weight;
      }
    }
  }
}

/// What a warp does with its products: rows of queries times a tile of keys.
template <typename Plan>
class SumsOfProducts {
 public:
  __device__ SumsOfProducts(const AttentionScoreBatch& batch, const Workspace& workspace,
                            const AttentionScoreProblem& problem, const Head& head,
                            const Areas<Plan>&, int first_query, int half, int plane)
      : problem_(problem),
        scale_(batch.scale * head.key_scale() * kLog2E),
        partial_stride_(Queries(batch)),
        queries_(head.queries()),
        query_(first_query + kPlaneQueries * plane + 64 * half +
               static_cast<int>(threadIdx.x % 128) / 32 * 16 +
               static_cast<int>(threadIdx.x % 32) / 4),
        partial_(workspace.partial + std::int64_t{blockIdx.z} * Splits(batch) * Queries(batch) +
                 head.first_query() + query_) {
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      limits_[h] = ValueOr(head.PositionOfQuery(query_ + 8 * h), kSeesNone);
    }
    least_limit_ = __reduce_min_sync(kAllLanes, min(limits_[0], limits_[1]));
  }

  __device__ void Begin(std::int32_t first_key) {
    const int lane = static_cast<int>(threadIdx.x % 32);
    std::int32_t latest = kSeesNone;
#pragma unroll
    for (int i = 0; i < kTileKeys / 32; ++i) {
      latest = max(latest, PositionOf(first_key + 32 * i + lane));
    }
    all_seen_ = __all_sync(kAllLanes, latest <= least_limit_) != 0;
  }

  __device__ void Add(Products& products, std::int32_t first_key, bool ends_split) {
    float scale = scale_;
    if (!all_seen_) {
      Mask(products, first_key);
      scale = 1.0F;
    }
    AddExps(products, 0, scale, sums_[0]);
    AddExps(products, 1, scale, sums_[1]);
    if (!ends_split) return;
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const SumOfExps sum = MergeOverQuad(sums_[h]);
      if (threadIdx.x % 4 == 0 && query_ + 8 * h < queries_) {
        partial_[std::int64_t{first_key / kSplitRows} * partial_stride_ + 8 * h] = sum;
      }
      sums_[h] = {-kInfinity, 0.0F};
    }
  }

 private:
  __device__ std::int32_t PositionOf(std::int32_t key) const {
    return key < problem_.rows ? problem_.row_positions[key] : kUnseen;
  }
  /// Turns products into logits, -infinity where a query does not see the key.
  __device__ void Mask(Products& products, std::int32_t first_key) const {
    const std::int32_t first = first_key + static_cast<int>(threadIdx.x % 4) * 2;
#pragma unroll
    for (int i = 0; i < 64; i += 4) {
#pragma unroll
      for (int c = 0; c < 2; ++c) {
        const std::int32_t position = PositionOf(first + 2 * i + c);
#pragma unroll
        for (int h = 0; h < 2; ++h) {
          float& sum = products[i + 2 * h + c];
          sum = position <= limits_[h] ? sum * scale_ : -kInfinity;
        }
      }
    }
  }

  const AttentionScoreProblem& problem_;
  const float scale_;
  const std::int64_t partial_stride_;
  const int queries_;
  const int query_;  // of the first of this lane's two rows
  SumOfExps* const partial_;
  std::int32_t limits_[2];
  std::int32_t least_limit_;
  bool all_seen_ = false;
  SumOfExps sums_[2] = {{-kInfinity, 0.0F}, {-kInfinity, 0.0F}};
};

/// The same for rows of keys times a plane of queries.
template <typename Plan>
class SharesOfProducts {
 public:
  __device__ SharesOfProducts(const AttentionScoreBatch& batch, const Workspace& workspace,
                              const AttentionScoreProblem& problem, const Head& head,
                              const Areas<Plan>& areas, int first_query, int half, int plane)
      : problem_(problem),
        scale_(batch.scale * head.key_scale() * kLog2E),
        row_(64 * half + static_cast<int>(threadIdx.x % 128) / 32 * 16 +
             static_cast<int>(threadIdx.x % 32) / 4),
        minus_log_sums_(areas.minus_log_sums + plane * (kPlaneQueries / 4) + threadIdx.x % 4),
        limits_(areas.limits + plane * (kPlaneQueries / 4) + threadIdx.x % 4) {
    const float* const log_sums =
        workspace.log_sums + std::int64_t{blockIdx.z} * Queries(batch) + head.first_query();
    const auto thread = static_cast<int>(threadIdx.x);
    if (thread < Plan::kQueries) {
      const int query = first_query + thread;
      const int place = ColumnPlace(thread);
      const bool present = query < head.queries();
      reinterpret_cast<float*>(areas.minus_log_sums)[place] =
          present ? -log_sums[query] : -kInfinity;
      reinterpret_cast<std::int32_t*>(areas.limits)[place] =
          ValueOr(head.PositionOfQuery(query), kSeesNone);
    }
    AwaitConsumers();
    const int4 limits = areas.limits[plane * (kPlaneQueries / 4) + threadIdx.x % 32];
    least_limit_ =
        __reduce_min_sync(kAllLanes, min(min(limits.x, limits.y), min(limits.z, limits.w)));
    const int planes = (head.queries() + kPlaneQueries - 1) / kPlaneQueries;
    const int planes_before = head.first_query() / head.queries() * planes;
    const int of_head = first_query / kPlaneQueries + plane;
    const std::int64_t index =
        std::int64_t{blockIdx.z} * batch.shape.kv_heads * planes + planes_before + of_head;
    out_ = of_head < planes ? workspace.planes + index * batch.most_rows : nullptr;
  }

  __device__ void Begin(std::int32_t first_key) {
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const std::int32_t key = first_key + row_ + 8 * h;
      positions_[h] = key < problem_.rows ? problem_.row_positions[key] : kUnseen;
    }
  }

  __device__ void Add(const Products& products, std::int32_t first_key, bool) {
    float shares[2] = {};
    if (__all_sync(kAllLanes, max(positions_[0], positions_[1]) <= least_limit_) != 0) {
      AddWeights<false>(products, scale_, minus_log_sums_, limits_, positions_, shares);
    } else {
      AddWeights<true>(products, scale_, minus_log_sums_, limits_, positions_, shares);
    }
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const float share = SumOverQuad(shares[h]);
      const std::int32_t key = first_key + row_ + 8 * h;
      if (threadIdx.x % 4 == 0 && key < problem_.rows && out_ != nullptr) out_[key] = share;
    }
  }

 private:
  const AttentionScoreProblem& problem_;
  const float scale_;
  const int row_;
  const float4* const minus_log_sums_;
  const int4* const limits_;
  float* out_;
  std::int32_t least_limit_;
  std::int32_t positions_[2];
};

}  // namespace pinboard::kernels::attention_score
