// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Rows of logits, and the EntropyPart of each that a block adds up.
#pragma once

#include <cstdint>
#include <limits>

#include "kernels/bf16_pairs.cuh"
#include "kernels/block_sum.cuh"
#include "kernels/full_entropy/full_entropy.h"
#include "kernels/full_entropy/logit_parts.cuh"
#include "kernels/row_values.cuh"

namespace pinboard::kernels {

/// `aligned`: what RowsAreAligned says.
template <DType dtype, bool aligned>
struct LogitRow {
  static constexpr int kValues = kValuesAtOnce<dtype>;
  const void* logits;
  int width;

  /// Logits first ..., -inf beyond the row's end.
  __device__ uint4 Load(int first) const {
    constexpr std::uint32_t kNone = dtype == DType::kBF16 ? 0xff80ff80U : 0xff800000U;
    if (first >= width) return make_uint4(kNone, kNone, kNone, kNone);
    const uint4 bytes = LoadBytes<dtype>(logits, first, width, aligned);
    if (aligned || first + kValues <= width) return bytes;
    std::uint32_t words[4] = {bytes.x, bytes.y, bytes.z, bytes.w};  // zeros beyond the end
#pragma unroll
    for (int i = 0; i < kValues; ++i) {
      if (first + i < width) continue;
      words[i * 4 / kValues] |= kValues == 8 && i % 2 == 0 ? 0xff80U : 0xff800000U;
    }
    return make_uint4(words[0], words[1], words[2], words[3]);
  }
};

/// The largest of loaded logits, NaNs left out where there are others.
template <DType dtype, int kLoads>
__device__ float MostOf(const uint4 (&bytes)[kLoads]) {
  if constexpr (dtype == DType::kBF16) {
    __nv_bfloat162 most = PairOf(bytes[0].x);
#pragma unroll
    for (int i = 0; i < kLoads; ++i) {
      most = __hmax2(__hmax2(most, PairOf(bytes[i].x)), PairOf(bytes[i].y));
      most = __hmax2(__hmax2(most, PairOf(bytes[i].z)), PairOf(bytes[i].w));
    }
    return fmaxf(__low2float(most), __high2float(most));
  } else {
    float most = __uint_as_float(bytes[0].x);
#pragma unroll
    for (int i = 0; i < kLoads; ++i) {
      most = fmaxf(fmaxf(most, __uint_as_float(bytes[i].x)), __uint_as_float(bytes[i].y));
      most = fmaxf(fmaxf(most, __uint_as_float(bytes[i].z)), __uint_as_float(bytes[i].w));
    }
    return most;
  }
}

/// What a block's warps have of a row, by all its threads.
template <int kThreads>
class WarpParts {
 public:
  /// Joins the threads' parts within each warp. A barrier.
  __device__ void Join(ScaledPart part) {
    float largest = part.largest;
    for (int apart = 16; apart > 0; apart /= 2) {
      largest = fmaxf(largest, __shfl_xor_sync(kAllLanes, largest, apart));
    }
    part.RaiseTo(largest);
    const double sum = SumOverLanes(part.sum, 16);
    const double weighted = SumOverLanes(part.weighted, 16);
    if (threadIdx.x % 32 == 0) {
      largest_[threadIdx.x / 32] = largest;
      sum_[threadIdx.x / 32] = sum;
      weighted_[threadIdx.x / 32] = weighted;
    }
    __syncthreads();
  }
  __device__ float Largest() const {
    float largest = largest_[0];
#pragma unroll
    for (int warp = 1; warp < kWarps; ++warp) largest = fmaxf(largest, largest_[warp]);
    return largest;
  }
  /// Of all warps, in the first one.
  __device__ EntropyPart All(float largest) const {
    double sum = 0.0;
    double weighted = 0.0;
    if (threadIdx.x < kWarps) {
      const float apart = largest_[threadIdx.x] * kLog2E - largest * kLog2E;
      const float below = fmaxf(apart, kMostBelow);
      const double weight = Exp2(below);
      sum = weight * sum_[threadIdx.x];
      weighted = weight * (weighted_[threadIdx.x] + static_cast<double>(below) * sum_[threadIdx.x]);
    }
    constexpr double kLn2 = 0.693147180559945309;
    const double top = static_cast<double>(largest * kLog2E) / static_cast<double>(kLog2E);
    return {top, SumOverLanes(sum, kWarps / 2), SumOverLanes(weighted, kWarps / 2) * kLn2};
  }

 private:
  static constexpr int kWarps = kThreads / 32;
  static constexpr unsigned kAllLanes = 0xffffffffU;

  __device__ static double SumOverLanes(double value, int most_apart) {
    for (int apart = most_apart; apart > 0; apart /= 2) {
      value += __shfl_xor_sync(kAllLanes, value, apart);
    }
    return value;
  }

  float largest_[kWarps];
  double sum_[kWarps];
  double weighted_[kWarps];
};

}  // namespace pinboard::kernels
