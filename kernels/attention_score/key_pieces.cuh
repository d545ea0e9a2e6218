// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Keys of every format as the 16-bit values that tensor cores multiply, of AttentionQueryType. f16
// holds e4m3 exactly, and the scale of a head is a factor of its logits; what a row of kF8DsMla
// stands for is bf16 by definition. So nothing is rounded that ReadValue (kernels/key_values.h)
// does not round.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp8.h>
#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

#include "pinboard/kv_layout.h"

namespace pinboard::kernels {

/// Values of a piece: 16 bytes of 16-bit values.
inline constexpr int kPieceValues = 8;

/// Two values of a key of kKeys: kF8E4M3 as f16; kF8DsMla, times `scale`, as bf16.
template <DType kKeys>
__device__ inline std::uint32_t WidenPair(std::uint32_t pair, float scale) {
  const __half2_raw halves =
      __nv_cvt_fp8x2_to_halfraw2(static_cast<__nv_fp8x2_storage_t>(pair), __NV_E4M3);
  if constexpr (kKeys == DType::kF8E4M3) return halves.x | std::uint32_t{halves.y} << 16U;
  const float2 values = __half22float2(__half2(halves));
  const __nv_bfloat162 scaled = __floats2bfloat162_rn(values.x * scale, values.y * scale);
  return reinterpret_cast<const std::uint32_t&>(scaled);
}

/// The same of eight.
template <DType kKeys>
__device__ inline uint4 WidenPiece(uint2 eight, float scale) {
  return make_uint4(
      WidenPair<kKeys>(eight.x & 0xffffU, scale), WidenPair<kKeys>(eight.x >> 16U, scale),
      WidenPair<kKeys>(eight.y & 0xffffU, scale), WidenPair<kKeys>(eight.y >> 16U, scale));
}

/// Piece `piece` of a key of `shape`, which begins at a multiple of 16 bytes.
__device__ inline uint4 KeyPiece(const KvShape& shape, const void* key, int piece) {
  if (DTypeBytes(shape.dtype) == 2) return __ldg(static_cast<const uint4*>(key) + piece);
  const auto* const eights = static_cast<const uint2*>(key);
  if (shape.dtype == DType::kF8E4M3) return WidenPiece<DType::kF8E4M3>(__ldg(eights + piece), 1.0F);
  const int latent_pieces = shape.value_dim / kPieceValues;
  const auto* const scales = reinterpret_cast<const float*>(eights + latent_pieces);
  if (piece < latent_pieces) {
    return WidenPiece<DType::kF8DsMla>(__ldg(eights + piece),
                                       __ldg(scales + piece / (kLatentTile / kPieceValues)));
  }
  const auto* const rotary = reinterpret_cast<const uint4*>(scales + shape.value_dim / kLatentTile);
  return __ldg(rotary + piece - latent_pieces);
}

}  // namespace pinboard::kernels
