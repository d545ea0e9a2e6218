// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Hopper's matrix product of a warpgroup (PTX wgmma, sm_90a) on rows in shared memory.
//
// Both operands lie in chunks of 64 values, bf16 or f16, of each row: row r of a chunk is the 128
// bytes from r * 128 on, and its 16-byte piece p lies at p ^ (r % 8), the "128B swizzle" in which
// neither writing rows nor reading columns of pieces meets a bank twice. A chunk begins at a
// multiple of 1,024 bytes.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "pinboard/kv_layout.h"

namespace pinboard::kernels {

inline constexpr int kChunkValues = 64;
inline constexpr int kChunkRowBytes = 128;

/// Where 16-byte piece `piece` of row `row` lies in its chunk.
__device__ constexpr int ChunkOffset(int row, int piece) {
  return row * kChunkRowBytes + (piece ^ (row % 8)) * 16;
}

/// The matrix descriptor of rows of a chunk from shared address `rows` on, a multiple of 1,024:
/// swizzle 128B, groups of 8 rows 1,024 bytes apart.
__device__ inline std::uint64_t ChunkRows(std::uint32_t rows) {
  return (rows & 0x3ffffU) >> 4U | std::uint64_t{1} << 16U | std::uint64_t{1024 >> 4} << 32U |
         std::uint64_t{1} << 62U;
}

/// A product of 64 rows with 128 rows of kType, bf16 or f16, over the four warps of a warpgroup:
/// lane l of warp w holds of row 16 w + l / 4 + 8 h columns 8 j + 2 (l % 4) + c, at sums[4 j + 2 h
/// + c].
template <DType kType>
struct WarpgroupProduct {
  float sums[64];

  /// Begins sums (+)= a * b over one chunk; both are descriptors. Between BeginChunks and Wait.
  __device__ void AddChunk(std::uint64_t a, std::uint64_t b, bool is_first) {
#pragma unroll
    for (int step = 0; step < kChunkValues / 16; ++step) {
      constexpr int kStepBytes = 16 * 2;
      Add16(a + step * (kStepBytes >> 4), b + step * (kStepBytes >> 4), !is_first || step > 0);
    }
    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
  }

  __device__ static void BeginChunks() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
  /// Until at most kPending chunks are unfinished.
  template <int kPending>
  __device__ void Wait() {
    asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kPending) : "memory");
    if constexpr (kPending == 0) {
#pragma unroll
      for (float& sum : sums) asm volatile("" : "+f"(sum)::"memory");
    }
  }

 private:
  __device__ void Add16(std::uint64_t a, std::uint64_t b, bool accumulate) {
#define PB_SUMS_8(i)                                                                         \
  "+f"(sums[i]), "+f"(sums[i + 1]), "+f"(sums[i + 2]), "+f"(sums[i + 3]), "+f"(sums[i + 4]), \
      "+f"(sums[i + 5]), "+f"(sums[i + 6]), "+f"(sums[i + 7])
#define PB_MULTIPLY(type)                                                                       \
  asm volatile(                                                                                 \
      "{\n.reg .pred accumulate;\nsetp.ne.b32 accumulate, %66, 0;\n"                            \
      "wgmma.mma_async.sync.aligned.m64n128k16.f32." type "." type                              \
      " "                                                                                       \
      "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "                 \
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "        \
      "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "        \
      "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63}, "       \
      "%64, %65, accumulate, 1, 1, 0, 0;\n}"                                                    \
      : PB_SUMS_8(0), PB_SUMS_8(8), PB_SUMS_8(16), PB_SUMS_8(24), PB_SUMS_8(32), PB_SUMS_8(40), \
        PB_SUMS_8(48), PB_SUMS_8(56)                                                            \
      : "l"(a), "l"(b), "r"(static_cast<int>(accumulate)))
    if constexpr (kType == DType::kF16) {
      PB_MULTIPLY("f16");
    } else {
      PB_MULTIPLY("bf16");
    }
#undef PB_MULTIPLY
#undef PB_SUMS_8
  }
};

}  // namespace pinboard::kernels
