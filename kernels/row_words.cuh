// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A row of a paged cache as the 16-byte words that operations move.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"
#include "kernels/paged_rows.h"

namespace pinboard::kernels {

inline constexpr int kWordBytes = 16;

/// What a row is cut into: keys of all heads and then values of all heads.
struct RowWords {
  int key;    // of one head
  int value;  // of one head, 0 where the value lies in the key
  int heads;

  __host__ __device__ int all() const { return (key + value) * heads; }
};

/// InvalidArgument: not a shape. Unimplemented: a head's keys or values are not whole words.
inline absl::StatusOr<RowWords> CutIntoWords(absl::string_view operation, const KvShape& shape) {
  PB_RETURN_IF_ERROR(CheckShape(operation, shape));
  const auto heads = static_cast<std::size_t>(shape.kv_heads);
  const std::size_t key_bytes = shape.KeyBytes() / heads;
  const std::size_t value_bytes = shape.ValueBytes() / heads;
  if (key_bytes % kWordBytes != 0 || value_bytes % kWordBytes != 0) {
    return absl::UnimplementedError(
        absl::StrCat(operation, ": on the device a head's keys and values must be multiples of ",
                     kWordBytes, " bytes, not ", key_bytes, " and ", value_bytes));
  }
  return RowWords{static_cast<int>(key_bytes) / kWordBytes,
                  static_cast<int>(value_bytes) / kWordBytes, shape.kv_heads};
}

/// Where the first heads of a row lie.
struct RowPlace {
  std::byte* key;
  std::byte* value;  // null where the value lies in the key
};

__device__ inline RowPlace PlaceOf(const KvLayerView& cache, const std::int32_t* block_table,
                                   int block_size, std::int32_t row) {
  const auto in = [&](const KvPlane& plane) {
    return plane.base == nullptr ? nullptr : RowAddress(plane, block_table, block_size, row, 0);
  };
  return {in(cache.key), in(cache.value)};
}

/// Word `word` < words.all() of the row at `place`.
__device__ inline uint4* WordAddress(const RowPlace& place, const RowWords& words,
                                     std::int64_t key_head_stride, std::int64_t value_head_stride,
                                     int word) {
  const int key_words = words.key * words.heads;
  std::byte* const address =
      word < key_words
          ? place.key + word / words.key * key_head_stride + word % words.key * kWordBytes
          : place.value + (word - key_words) / words.value * value_head_stride +
                (word - key_words) % words.value * kWordBytes;
  return reinterpret_cast<uint4*>(address);
}

}  // namespace pinboard::kernels
