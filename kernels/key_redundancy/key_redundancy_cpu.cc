// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "kernels/key_redundancy/key_redundancy.h"
#include "kernels/key_redundancy/key_redundancy_core.h"
#include "kernels/key_values.h"
#include "kernels/paged_rows.h"
#include "kernels/portable_math.h"
#include "kernels/row_scores.h"

namespace pinboard::kernels {
namespace {

constexpr int kRowBlock = 32;  // rows that look for their last similar one together

absl::Status CheckArgs(const KeyRedundancyArgs& args, std::size_t out) {
  const auto rows = static_cast<std::int64_t>(args.order.size());
  PB_RETURN_IF_ERROR(CheckKeys("KeyRedundancy",
                               {args.cache, args.shape, args.block_size, args.block_table}, rows));
  PB_RETURN_IF_ERROR(CheckPermutation("KeyRedundancy", args.order));
  if (args.total_kv_heads < args.shape.kv_heads || out != args.order.size()) {
    return absl::InvalidArgumentError(absl::StrCat("KeyRedundancy: ", args.shape.kv_heads, " of ",
                                                   args.total_kv_heads, " KV heads, ", rows,
                                                   " rows and ", out, " results"));
  }
  return absl::OkStatus();
}

/// One head's keys, scaled to length 1, in the order of positions.
class UnitKeys {
 public:
  explicit UnitKeys(const KeyRedundancyArgs& args)
      : args_(args),
        rows_(static_cast<std::int64_t>(args.order.size())),
        dim_(args.shape.key_dim),
        keys_(static_cast<std::size_t>(rows_) * dim_),
        tiles_(static_cast<std::size_t>(PaddedRows(rows_)) * dim_, 0.0F),
        last_similar_(static_cast<std::size_t>(rows_)) {}

  /// False where a key is not finite.
  bool Load(int head) {
    for (std::int64_t i = 0; i < rows_; ++i) {
      float* key = keys_.data() + i * dim_;
      ReadKey(head, args_.order[i], key);
      double squared = 0.0;
      for (int d = 0; d < dim_; ++d) squared += static_cast<double>(key[d]) * key[d];
      if (!std::isfinite(squared)) return false;
      const double scale = InverseLength(squared);
      float* tile = tiles_.data() + i / kTileRows * kTileRows * dim_ + i % kTileRows;
      for (int d = 0; d < dim_; ++d) {
        key[d] = static_cast<float>(key[d] * scale);
        tile[std::int64_t{d} * kTileRows] = key[d];
      }
    }
    return true;
  }

  /// m of every row.
  std::vector<double> MeanCosines() {
    std::vector<double> total(dim_, 0.0);
    for (std::int64_t i = 0; i < rows_; ++i) {
      for (int d = 0; d < dim_; ++d) total[d] += keys_[i * dim_ + d];
    }
    std::vector<double> mean(static_cast<std::size_t>(rows_));
    for (std::int64_t i = 0; i < rows_; ++i) {
      const float* key = keys_.data() + i * dim_;
      double sum = 0.0;
      for (int d = 0; d < dim_; ++d) sum += key[d] * (total[d] - key[d]);
      mean[i] = sum;
    }
    for (std::int64_t first = 0; first < rows_; first += kRowBlock) {
      const auto count = static_cast<int>(std::min<std::int64_t>(kRowBlock, rows_ - first));
      FindLastSimilar(first, count);
    }
    for (std::int64_t j = 0; j < rows_; ++j) {
      if (last_similar_[j] >= 0) mean[last_similar_[j]] -= Cosine(j, last_similar_[j]);
    }
    for (double& value : mean) value /= static_cast<double>(rows_);
    return mean;
  }

 private:
  void ReadKey(int head, std::int32_t row, float* key) const {
    const std::byte* at =
        RowAddress(args_.cache.key, args_.block_table.data(), args_.block_size, row, head);
    const HeadFormat format = FormatOf(args_.shape, args_.cache.key, head);
    WithDType(args_.shape.dtype, [&](auto dtype) {
      for (int d = 0; d < dim_; ++d) key[d] = ReadValue<dtype>(at, d, format);
    });
  }

  double Cosine(std::int64_t i, std::int64_t j) const {
    double sum = 0.0;
    for (int d = 0; d < dim_; ++d) {
      sum += static_cast<double>(keys_[i * dim_ + d]) * keys_[j * dim_ + d];
    }
    return sum;
  }

  /// For rows first ... first + count - 1: the last row that is similar, -1 where none is. Tiles
  /// are searched from the last one backwards, until all have found theirs.
  void FindLastSimilar(std::int64_t first, int count) {
    std::fill_n(last_similar_.begin() + first, count, -1);
    int missing = count;
    float cosines[kRowBlock * kTileRows];
    for (std::int64_t tile = (rows_ - 1) / kTileRows; tile >= 0 && missing > 0; --tile) {
      TileScores(keys_.data() + first * dim_, count, dim_, tiles_.data() + tile * kTileRows * dim_,
                 1.0F, cosines, kTileRows);
      for (int i = 0; i < count; ++i) {
        std::int64_t& last = last_similar_[first + i];
        if (last >= 0) continue;
        for (std::int64_t t = kTileRows - 1; t >= 0 && last < 0; --t) {
          const std::int64_t row = tile * kTileRows + t;
          if (row != first + i && cosines[i * kTileRows + t] > kSimilarCosine) last = row;
        }
        if (last >= 0) --missing;
      }
    }
  }

  const KeyRedundancyArgs& args_;
  const std::int64_t rows_;
  const int dim_;
  std::vector<float> keys_;                 // [rows, key_dim]
  std::vector<float> tiles_;                // [tiles, key_dim, kTileRows], zeros behind the rows
  std::vector<std::int64_t> last_similar_;  // [rows]
};

/// sums[i] += softmax(values)[i]; the values lie in [-1, 1].
void AddSoftmax(std::vector<double> values, std::vector<double>* sums) {
  double total = 0.0;
  for (double& value : values) total += value = Exp(value);
  for (std::size_t i = 0; i < values.size(); ++i) (*sums)[i] += values[i] / total;
}

}  // namespace

absl::Status KeyRedundancy(const KeyRedundancyArgs& args, absl::Span<std::int32_t> out) {
  PB_RETURN_IF_ERROR(CheckArgs(args, out.size()));
  std::vector<double> sums(out.size(), 0.0);
  UnitKeys keys(args);
  for (int head = 0; head < args.shape.kv_heads; ++head) {
    if (!keys.Load(head)) {
      return absl::InvalidArgumentError("KeyRedundancy: a key is not finite");
    }
    AddSoftmax(keys.MeanCosines(), &sums);
  }
  for (std::size_t i = 0; i < out.size(); ++i) {
    out[i] = RedundancyShare(sums[i], args.total_kv_heads);
  }
  return absl::OkStatus();
}

}  // namespace pinboard::kernels
