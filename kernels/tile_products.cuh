// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Products of 64 vectors with 64 others on the device, with the bits of row_scores.h.
#pragma once

#include <cuda_runtime_api.h>

namespace pinboard::kernels {

inline constexpr int kProductTile = 64;      // vectors on each side
inline constexpr int kProductThreads = 256;  // of a block: 16 x 16, each with 4 x 4 products
inline constexpr int kProductsAcross = 4;

/// What a block's threads share.
struct ProductTile {
  static constexpr int kDepth = 32;  // values of each vector held at once
  static constexpr int kStride = kProductTile + 4;
  __align__(16) float left[kDepth][kStride];
  __align__(16) float right[kDepth][kStride];
};

/// The first of this thread's 4 vectors on each side.
__device__ inline int FirstLeft() { return static_cast<int>(threadIdx.x) / 16 * kProductsAcross; }
__device__ inline int FirstRight() { return static_cast<int>(threadIdx.x) % 16 * kProductsAcross; }

/// products[i][j] = sum over d < dim of left(FirstLeft() + i, d) * right(FirstRight() + j, d), in
/// float, d ascending, each product rounded before it is added. left(vector, d) and right(vector,
/// d) give values of vectors [0, 64); lanes ask for consecutive d. Every thread of the block calls
/// it; a barrier before it has passed when its last call's tile is read.
template <typename Left, typename Right>
__device__ void TileProducts(int dim, Left left, Right right, ProductTile& tile,
                             float (&products)[kProductsAcross][kProductsAcross]) {
#pragma unroll
  for (int i = 0; i < kProductsAcross; ++i) {
#pragma unroll
    for (int j = 0; j < kProductsAcross; ++j) products[i][j] = 0.0F;
  }
  for (int first = 0; first < dim; first += ProductTile::kDepth) {
    __syncthreads();
    for (int i = static_cast<int>(threadIdx.x); i < kProductTile * ProductTile::kDepth;
         i += kProductThreads) {
      const int d = i % ProductTile::kDepth;
      const int vector = i / ProductTile::kDepth;
      tile.left[d][vector] = first + d < dim ? left(vector, first + d) : 0.0F;
      tile.right[d][vector] = first + d < dim ? right(vector, first + d) : 0.0F;
    }
    __syncthreads();
#pragma unroll 4
    for (int d = 0; d < ProductTile::kDepth; ++d) {
      const float4 a = *reinterpret_cast<const float4*>(&tile.left[d][FirstLeft()]);
      const float4 b = *reinterpret_cast<const float4*>(&tile.right[d][FirstRight()]);
      const float lefts[] = {a.x, a.y, a.z, a.w};
      const float rights[] = {b.x, b.y, b.z, b.w};
#pragma unroll
      for (int i = 0; i < kProductsAcross; ++i) {
#pragma unroll
        for (int j = 0; j < kProductsAcross; ++j) {
          products[i][j] = __fadd_rn(products[i][j], __fmul_rn(lefts[i], rights[j]));
        }
      }
    }
  }
}

}  // namespace pinboard::kernels
