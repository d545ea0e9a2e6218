// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/dtype.h"
#include "base/page.h"
#include "base/status_macros.h"
#include "kernels/key_values.h"
#include "kernels/page_digest/page_digest.h"
#include "kernels/page_digest/page_digest_core.h"
#include "kernels/paged_rows.h"

namespace pinboard::kernels {
namespace {

/// Keys of one head of a page, read as PageGather packs them.
template <DType dtype>
struct PackedKeys {
  const std::byte* keys;  // of the page's first row
  std::size_t row_bytes;
  HeadFormat format;

  float operator()(int row, int d) const {
    return ReadValue<dtype>(keys + static_cast<std::size_t>(row) * row_bytes, d, format);
  }
};

/// One KV head of a page: its keys in steps, and the centres as they move.
class Clustering {
 public:
  Clustering(int dim, absl::Span<std::int8_t> centre, absl::Span<std::uint8_t> rows)
      : dim_(dim),
        steps_(static_cast<std::size_t>(kPageRows) * dim),
        centre_(centre),
        rows_(rows) {}

  /// False where a key is not finite.
  template <typename Keys>
  bool Load(const Keys& key, float* scale) {
    float largest = 0.0F;
    for (int r = 0; r < kPageRows; ++r) {
      for (int d = 0; d < dim_; ++d) {
        const float magnitude = std::abs(key(r, d));
        if (!std::isfinite(magnitude)) return false;
        largest = std::max(largest, magnitude);
      }
    }
    *scale = largest / kKeySteps;
    for (int r = 0; r < kPageRows; ++r) {
      for (int d = 0; d < dim_; ++d) {
        steps_[r * dim_ + d] = static_cast<std::int8_t>(QuantisedKey(key(r, d), *scale));
      }
    }
    return true;
  }

  void Run() {
    for (int c = 0; c < kDigestCentres; ++c) {
      const std::int8_t* first = Row(FirstRowOf(c));
      std::copy(first, first + dim_, Centre(c));
    }
    for (int pass = 0; pass < kClusterPasses; ++pass) {
      for (int r = 0; r < kPageRows; ++r) nearest_[r] = Nearest(r);
      for (int c = 0; c < kDigestCentres; ++c) Recentre(c);
    }
  }

 private:
  const std::int8_t* Row(int r) const { return steps_.data() + r * dim_; }
  std::int8_t* Centre(int c) { return centre_.data() + c * dim_; }

  int Nearest(int r) {
    int best = 0;
    std::int32_t least = std::numeric_limits<std::int32_t>::max();
    for (int c = 0; c < kDigestCentres; ++c) {
      std::int32_t distance = 0;
      for (int d = 0; d < dim_; ++d) {
        const std::int32_t apart = Row(r)[d] - Centre(c)[d];
        distance += apart * apart;
      }
      if (distance < least) {
        least = distance;
        best = c;
      }
    }
    return best;
  }

  void Recentre(int c) {
    const auto count = std::count(nearest_.begin(), nearest_.end(), c);
    rows_[c] = static_cast<std::uint8_t>(count);
    if (count == 0) return;
    for (int d = 0; d < dim_; ++d) {
      std::int32_t sum = 0;
      for (int r = 0; r < kPageRows; ++r) sum += nearest_[r] == c ? Row(r)[d] : 0;
      Centre(c)[d] = static_cast<std::int8_t>(RoundedMean(sum, static_cast<std::int32_t>(count)));
    }
  }

  const int dim_;
  std::vector<std::int8_t> steps_;  // [kPageRows, dim]
  std::array<int, kPageRows> nearest_{};
  absl::Span<std::int8_t> centre_;
  absl::Span<std::uint8_t> rows_;
};

template <DType dtype>
absl::Status BuildAs(const KvShape& shape, absl::Span<const std::byte> page, const float* scales,
                     const DigestSlot& digest) {
  const std::size_t key_bytes = shape.KeyBytes() / shape.kv_heads;
  const std::size_t width = static_cast<std::size_t>(kDigestCentres) * shape.key_dim;
  for (int head = 0; head < shape.kv_heads; ++head) {
    Clustering clustering(shape.key_dim, digest.centres.subspan(head * width, width),
                          digest.counts.subspan(head * kDigestCentres, kDigestCentres));
    const PackedKeys<dtype> keys{page.data() + head * key_bytes, shape.RowBytes(),
                                 FormatOf(shape, {.scales = scales}, head)};
    if (!clustering.Load(keys, &digest.step[head])) {
      return absl::InvalidArgumentError("BuildDigest: a key of the page is not finite");
    }
    clustering.Run();
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status BuildDigest(const KvShape& shape, absl::Span<const std::byte> page,
                         const float* key_scales, const DigestSlot& digest) {
  PB_RETURN_IF_ERROR(CheckShape("BuildDigest", shape));
  const auto heads = static_cast<std::size_t>(shape.kv_heads);
  const std::size_t centres = heads * kDigestCentres;
  const std::size_t width = centres * static_cast<std::size_t>(shape.key_dim);
  if (page.size() != kPageRows * shape.RowBytes() || digest.centres.size() != width ||
      digest.counts.size() != centres || digest.step.size() != heads) {
    return absl::InvalidArgumentError(
        absl::StrCat("BuildDigest: a page of ", page.size(), " bytes, ", digest.centres.size(),
                     " centre values, ", digest.counts.size(), " row counts and ",
                     digest.step.size(), " steps: this shape needs ", kPageRows * shape.RowBytes(),
                     ", ", width, ", ", centres, " and ", heads));
  }
  return WithDType(shape.dtype,
                   [&](auto dtype) { return BuildAs<dtype>(shape, page, key_scales, digest); });
}

}  // namespace pinboard::kernels
