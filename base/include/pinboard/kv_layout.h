// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// How the rows of a KV cache lie in memory, as an engine describes them to Pinboard.
#pragma once

#include <cstddef>
#include <cstdint>

namespace pinboard {

/// How the values of a cache row are stored. Arithmetic is on what they stand for, in float.
enum class DType : std::uint8_t {
  kF32 = 0,
  kBF16 = 1,
  kF16 = 2,
  /// e4m3 (OCP's, without infinities), each value times its KV head's scale: KvPlane::scales.
  kF8E4M3 = 3,
  /// MLA alone, vLLM's "fp8_ds_mla": the latent (`value_dim` values) in e4m3, then a float scale
  /// for each kLatentTile of them, then the rotary part in bf16. A value of the latent stands for
  /// its product with the scale, rounded to bf16, as attention multiplies it (DeepSeek: 656 bytes).
  kF8DsMla = 4,
};

/// Bytes of one element; of kF8DsMla, of one of the latent.
constexpr std::size_t DTypeBytes(DType dtype) {
  return dtype == DType::kF32 ? 4 : dtype == DType::kBF16 || dtype == DType::kF16 ? 2 : 1;
}

/// Values of the latent that share a scale in kF8DsMla.
inline constexpr int kLatentTile = 128;

/// Shape of one rank's cache row in one layer.
///
/// GQA, MHA, MQA: `kv_heads` local heads with a key of `key_dim` and a value of `value_dim` each.
/// MLA: one "head" whose key is the latent followed by the rotary part (`key_dim` values) and whose
/// value is the first `value_dim` values of the key (`value_in_key`): K and V are never expanded.
struct KvShape {
  int kv_heads = 0;
  int key_dim = 0;
  int value_dim = 0;
  bool value_in_key = false;
  DType dtype = DType::kBF16;

  /// Bytes of one token in one layer on this rank (Llama-3.1-8B, tp 1, bf16: 4,096; MLA R1: 1,152).
  constexpr std::size_t RowBytes() const { return KeyBytes() + ValueBytes(); }
  constexpr std::size_t KeyBytes() const {
    if (dtype == DType::kF8DsMla) {
      return static_cast<std::size_t>(value_dim) + value_dim / kLatentTile * sizeof(float) +
             2 * static_cast<std::size_t>(key_dim - value_dim);
    }
    return static_cast<std::size_t>(kv_heads) * key_dim * DTypeBytes(dtype);
  }
  constexpr std::size_t ValueBytes() const {
    return value_in_key ? 0 : static_cast<std::size_t>(kv_heads) * value_dim * DTypeBytes(dtype);
  }
  friend bool operator==(const KvShape&, const KvShape&) = default;
};

/// Keys or values of one layer: element (block b, token t of the block, head h, 0) lies at
/// base + b * block_stride + t * token_stride + h * head_stride (strides in bytes); the values of a
/// head are contiguous. NHD and HND layouts differ only in their strides. Memory: host (CPU
/// backend) or device (CUDA backend); owned by the engine.
struct KvPlane {
  std::byte* base = nullptr;
  std::int64_t block_stride = 0;
  std::int64_t token_stride = 0;
  std::int64_t head_stride = 0;
  /// kF8E4M3: [kv_heads], in the memory of the values; null where each is 1. They stay as they are
  /// while the cache lives, for pages that leave it and come back do not carry them.
  const float* scales = nullptr;

  /// The plane of the heads from `head` on.
  constexpr KvPlane FromHead(int head) const {
    KvPlane plane = *this;
    if (base != nullptr) plane.base += head * head_stride;
    if (scales != nullptr) plane.scales += head;
    return plane;
  }
};

/// Blocks of `block_size` rows that hold `rows` rows, none of which is negative:
/// ceil(rows / block_size).
template <typename Int>
constexpr Int BlocksFor(Int rows, int block_size) {
  return static_cast<Int>(rows / block_size + (rows % block_size > 0 ? 1 : 0));
}

/// One layer's paged cache. `value.base` is null where the value lies in the key (MLA).
struct KvLayerView {
  KvPlane key;
  KvPlane value;
};

}  // namespace pinboard
