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
  add("GqaF32", {4, 8, 16, false, DType::kF32});
  add("MqaBf16", {1, 64, 64, false, DType::kBF16});
  add("MlaBf16", {1, 40, 32, true, DType::kBF16});
  add("MlaF32", {1, 24, 16, true, DType::kF32});
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
    for (int row = 0; row < rows; ++row) {
      for (int head = 0; head < shape_.kv_heads; ++head) {
        for (int d = 0; d < shape_.key_dim; ++d) SetKey(row, head, d, random.Normal());
        for (int d = 0; !shape_.value_in_key && d < shape_.value_dim; ++d) {
          Write(Address(view_.value, row, head), d, random.Normal());
        }
      }
    }
  }

  const KvLayerView& view() const { return view_; }
  const KvShape& shape() const { return shape_; }
  int block_size() const { return block_size_; }
  const std::vector<std::int32_t>& block_table() const { return block_table_; }
  const std::vector<std::byte>& bytes() const { return bytes_; }

  float Key(int row, int head, int d) const { return Read(Address(view_.key, row, head), d); }
  /// The value's, wherever it lies.
  float Value(int row, int head, int d) const {
    return Read(Address(shape_.value_in_key ? view_.key : view_.value, row, head), d);
  }
  void SetKey(int row, int head, int d, float value) {
    Write(Address(view_.key, row, head), d, value);
  }
  void SetValue(int row, int head, int d, float value) {
    Write(Address(view_.value, row, head), d, value);
  }

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
  float Read(const std::byte* at, int d) const {
    if (shape_.dtype == DType::kF32) {
      float value;
      std::memcpy(&value, at + std::ptrdiff_t{d} * 4, 4);
      return value;
    }
    std::uint16_t bits;
    std::memcpy(&bits, at + std::ptrdiff_t{d} * 2, 2);
    return BFloat16ToFloat(bits);
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
  void Write(std::byte* at, int d, float value) const {
    if (shape_.dtype == DType::kF32) {
      std::memcpy(at + std::ptrdiff_t{d} * 4, &value, 4);
    } else {
      const std::uint16_t bits = FloatToBFloat16(value);
      std::memcpy(at + std::ptrdiff_t{d} * 2, &bits, 2);
    }
  }

  KvShape shape_;
  int block_size_;
  std::vector<std::int32_t> block_table_;
  std::vector<std::byte> bytes_;
  KvLayerView view_;
};

}  // namespace pinboard::kernels
