// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A paged cache with scattered blocks and a choice of layouts, readable value by value.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <ostream>
#include <string>
#include <vector>

#include "base/dtype.h"
#include "kernels/key_values.h"
#include "pinboard/kv_layout.h"
#include "tests/support/seeded_random.h"

namespace pinboard::kernels {

enum class CacheLayout : std::uint8_t {
  kNhd,             // [block, token, head, dim], keys and values apart
  kHndInterleaved,  // [block, head, token, key | value], one allocation
};

struct CacheCase {
  std::string name;
  KvShape shape;
  int block_size = 16;
  CacheLayout layout = CacheLayout::kNhd;

  friend std::ostream& operator<<(std::ostream& out, const CacheCase& c) { return out << c.name; }
};

inline std::vector<CacheCase> AllCacheCases() {
  std::vector<CacheCase> cases;
  const auto add = [&](const std::string& name, const KvShape& shape) {
    for (const int block_size : {16, 32, 64}) {
      for (const CacheLayout layout : {CacheLayout::kNhd, CacheLayout::kHndInterleaved}) {
        cases.push_back({name + "Blocks" + std::to_string(block_size) +
                             (layout == CacheLayout::kNhd ? "Nhd" : "Hnd"),
                         shape, block_size, layout});
      }
    }
  };
  add("GqaBf16", {2, 32, 32, false, DType::kBF16});
  add("GqaF16", {2, 32, 32, false, DType::kF16});
  add("GqaF8", {4, 32, 16, false, DType::kF8E4M3});
  add("GqaF32", {4, 8, 16, false, DType::kF32});
  add("MqaBf16", {1, 64, 64, false, DType::kBF16});
  add("MlaBf16", {1, 40, 32, true, DType::kBF16});
  add("MlaF32", {1, 24, 16, true, DType::kF32});
  add("MlaF8", {1, 48, 32, true, DType::kF8E4M3});
  // DeepSeek's row is the only one in whole 16-byte words, and long: two cases will do.
  const KvShape ds_mla{1, 576, 512, true, DType::kF8DsMla};
  cases.push_back({"MlaF8DsMlaBlocks16Nhd", ds_mla, 16, CacheLayout::kNhd});
  cases.push_back({"MlaF8DsMlaBlocks64Hnd", ds_mla, 64, CacheLayout::kHndInterleaved});
  return cases;
}

class PagedCache {
 public:
  PagedCache(const CacheCase& c, int rows, SeededRandom& random)
      : shape_(c.shape), block_size_(c.block_size) {
    const int used = (rows + block_size_ - 1) / block_size_;
    const int blocks = 2 * used + 1;
    std::vector<std::int32_t> order(static_cast<std::size_t>(blocks));
    std::iota(order.begin(), order.end(), 0);
    std::shuffle(order.begin(), order.end(), random.engine());
    block_table_.assign(order.begin(), order.begin() + used);
    unused_blocks_.assign(order.begin() + used, order.end());

    const auto key = static_cast<std::int64_t>(shape_.KeyBytes()) / shape_.kv_heads;
    const auto value = static_cast<std::int64_t>(shape_.ValueBytes()) / shape_.kv_heads;
    bytes_.resize(static_cast<std::size_t>((key + value) * shape_.kv_heads * block_size_ * blocks));
    if (c.layout == CacheLayout::kNhd) {
      view_.key = Nhd(bytes_.data(), key);
      view_.value = Nhd(bytes_.data() + key * shape_.kv_heads * block_size_ * blocks, value);
    } else {
      const std::int64_t token = key + value;
      const std::int64_t head = token * block_size_;
      view_.key = {bytes_.data(), head * shape_.kv_heads, token, head};
      view_.value = {bytes_.data() + key, head * shape_.kv_heads, token, head};
    }
    if (shape_.value_in_key) view_.value = {};
    if (shape_.dtype == DType::kF8E4M3) {
      for (int i = 0; i < 2 * shape_.kv_heads; ++i) scales_.push_back(Scale(random));
      view_.key.scales = scales_.data();
      if (!shape_.value_in_key) view_.value.scales = scales_.data() + shape_.kv_heads;
    }
    if (shape_.dtype == DType::kF8DsMla) SetTileScales(rows, random);
    for (int row = 0; row < rows; ++row) {
      for (int head = 0; head < shape_.kv_heads; ++head) {
        for (int d = 0; d < shape_.key_dim; ++d) SetKey(row, head, d, random.Normal());
        for (int d = 0; !shape_.value_in_key && d < shape_.value_dim; ++d) {
          SetValue(row, head, d, random.Normal());
        }
      }
    }
  }

  const KvLayerView& view() const { return view_; }
  const KvShape& shape() const { return shape_; }
  int block_size() const { return block_size_; }
  const std::vector<std::int32_t>& block_table() const { return block_table_; }
  const std::vector<std::int32_t>& unused_blocks() const { return unused_blocks_; }
  void set_block_table(std::vector<std::int32_t> table) { block_table_ = std::move(table); }
  const std::vector<std::byte>& bytes() const { return bytes_; }

  float Key(int row, int head, int d) const { return Read(view_.key, row, head, d); }
  /// The value's, wherever it lies.
  float Value(int row, int head, int d) const {
    return Read(shape_.value_in_key ? view_.key : view_.value, row, head, d);
  }
  /// The nearest value that the cache's format has.
  void SetKey(int row, int head, int d, float value) { Write(view_.key, row, head, d, value); }
  void SetValue(int row, int head, int d, float value) { Write(view_.value, row, head, d, value); }

  /// The row as a page holds it: keys of all heads, then values of all heads.
  std::vector<std::byte> Row(int row) const {
    std::vector<std::byte> packed;
    const auto append = [&](const KvPlane& plane, std::size_t bytes) {
      for (int head = 0; head < shape_.kv_heads; ++head) {
        const std::byte* at = Address(plane, row, head);
        packed.insert(packed.end(), at, at + bytes / shape_.kv_heads);
      }
    };
    append(view_.key, shape_.KeyBytes());
    if (!shape_.value_in_key) append(view_.value, shape_.ValueBytes());
    return packed;
  }

 private:
  /// Small enough for standard normal values.
  static float Scale(SeededRandom& random) {
    return static_cast<float>(random.Uniform(0.01, 0.02));
  }
  void SetTileScales(int rows, SeededRandom& random) {
    for (int row = 0; row < rows; ++row) {
      for (int tile = 0; tile < shape_.value_dim / kLatentTile; ++tile) {
        Store(Address(view_.key, row, 0) + shape_.value_dim + tile * sizeof(float), Scale(random));
      }
    }
  }
  float Read(const KvPlane& plane, int row, int head, int d) const {
    const HeadFormat format = FormatOf(shape_, plane, head);
    return WithDType(shape_.dtype, [&](auto dtype) {
      return ReadValue<dtype>(Address(plane, row, head), d, format);
    });
  }
  KvPlane Nhd(std::byte* base, std::int64_t width) const {
    const std::int64_t token = width * shape_.kv_heads;
    return {base, token * block_size_, token, width};
  }
  std::byte* Address(const KvPlane& plane, int row, int head) const {
    return plane.base +
           block_table_[static_cast<std::size_t>(row / block_size_)] * plane.block_stride +
           (row % block_size_) * plane.token_stride + head * plane.head_stride;
  }
  template <typename T>
  static void Store(std::byte* at, T value) {
    std::memcpy(at, &value, sizeof(value));
  }
  void Write(const KvPlane& plane, int row, int head, int d, float value) const {
    std::byte* const at = Address(plane, row, head);
    const int latent = shape_.value_dim;
    switch (shape_.dtype) {
      case DType::kF32:
        return Store(at + std::ptrdiff_t{d} * 4, value);
      case DType::kBF16:
        return Store(at + std::ptrdiff_t{d} * 2, FloatToBFloat16(value));
      case DType::kF16:
        return Store(at + std::ptrdiff_t{d} * 2, FloatToFloat16(value));
      case DType::kF8E4M3:
        return Store(at + d, FloatToE4M3(value / plane.scales[head]));
      case DType::kF8DsMla:
        break;
    }
    if (d >= latent) {
      const std::ptrdiff_t rotary = latent + latent / kLatentTile * 4 + 2 * (d - latent);
      return Store(at + rotary, FloatToBFloat16(value));
    }
    const auto scale = ReadAs<float>(at + latent + d / kLatentTile * sizeof(float));
    Store(at + d, FloatToE4M3(value / scale));
  }

  KvShape shape_;
  int block_size_;
  std::vector<std::int32_t> block_table_;
  std::vector<std::int32_t> unused_blocks_;
  std::vector<std::byte> bytes_;
  std::vector<float> scales_;  // [2, kv_heads]: of kF8E4M3, the keys' and then the values'
  KvLayerView view_;
};

}  // namespace pinboard::kernels
