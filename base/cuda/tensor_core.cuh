// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The instructions of the tensor core and of the copies that feed it, in one place.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

namespace pinboard::cuda {

/// sums += a * b for a of 16 x 16 and b of 16 x 8 bf16 values, sums of 16 x 8 floats, over a warp
/// (PTX mma.m16n8k16): lane l holds of `sums` rows l / 4 (0, 1) and l / 4 + 8 (2, 3), columns
/// 2 (l % 4) and one more.
__device__ inline void MultiplyAdd(float (&sums)[4], std::uint32_t a0, std::uint32_t a1,
                                   std::uint32_t a2, std::uint32_t a3, std::uint32_t b0,
                                   std::uint32_t b1) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
      : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}

/// The same for f16 values.
__device__ inline void MultiplyAddF16(float (&sums)[4], std::uint32_t a0, std::uint32_t a1,
                                      std::uint32_t a2, std::uint32_t a3, std::uint32_t b0,
                                      std::uint32_t b1) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
      : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}

/// The same for a of 16 x 32 and b of 32 x 8 signed bytes, sums of 32-bit integers (PTX
/// mma.m16n8k32): lane l gives of a rows l / 4 (a0, a2) and l / 4 + 8 (a1, a3), of b column l / 4,
/// of both the four bytes from 4 (l % 4) on (a0, a1, b0) and from 16 + 4 (l % 4) on.
__device__ inline void MultiplyAdd(std::int32_t (&sums)[4], std::uint32_t a0, std::uint32_t a1,
                                   std::uint32_t a2, std::uint32_t a3, std::uint32_t b0,
                                   std::uint32_t b1) {
  asm("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+r"(sums[0]), "+r"(sums[1]), "+r"(sums[2]), "+r"(sums[3])
      : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}

/// Four 8 x 8 matrices of 16-bit values from shared memory (PTX ldmatrix): lane l gives the address
/// of row l % 8 of matrix l / 8, 16 bytes, and receives of matrix i in parts[i] row l / 4, columns
/// 2 (l % 4) and one more; transposed, the values of column l / 4.
__device__ inline void LoadMatrices(std::uint32_t (&parts)[4], const void* shared_row) {
  const auto from = static_cast<std::uint32_t>(__cvta_generic_to_shared(shared_row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(parts[0]), "=r"(parts[1]), "=r"(parts[2]), "=r"(parts[3])
               : "r"(from)
               : "memory");
}
__device__ inline void LoadTransposed(std::uint32_t (&parts)[4], const void* shared_row) {
  const auto from = static_cast<std::uint32_t>(__cvta_generic_to_shared(shared_row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(parts[0]), "=r"(parts[1]), "=r"(parts[2]), "=r"(parts[3])
               : "r"(from)
               : "memory");
}

/// 2^x within 2^-22; 0 for -infinity.
__device__ inline float Exp2(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

/// Begins to copy a value of 4, 8 or 16 bytes to shared memory, or stores `otherwise` where `from`
/// is null. There after this thread's WaitForCopies and then a barrier.
template <typename T>
__device__ void BeginCopy(T* shared, const T* from, T otherwise) {
  if (from == nullptr) {
    *shared = otherwise;
    return;
  }
  const auto to = static_cast<std::uint32_t>(__cvta_generic_to_shared(shared));
  asm volatile("cp.async.ca.shared.global [%0], [%1], %2;" ::"r"(to), "l"(from), "n"(sizeof(T))
               : "memory");
}
__device__ inline void WaitForCopies() { asm volatile("cp.async.wait_all;" ::: "memory"); }

}  // namespace pinboard::cuda
