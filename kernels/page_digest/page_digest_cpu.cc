// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/dtype.h"
#include "base/fixed_point.h"
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
  const std::byte* page;
  std::size_t row_bytes;
  std::int64_t first;  // of the head, in values from the row's beginning

  float operator()(int row, int d) const {
    return ReadValue<dtype>(page + static_cast<std::size_t>(row) * row_bytes, first + d);
  }
};

template <typename Keys>
bool BuildHead(const Keys& key, int dim, std::uint16_t* centre, std::uint8_t* radius,
               float* scale) {
  std::vector<float> radii(static_cast<std::size_t>(dim));
  float largest = 0.0F;
  for (int d = 0; d < dim; ++d) {
    float min = key(0, d);
    float max = min;
    for (int r = 1; r < kPageRows; ++r) {
      min = std::min(min, key(r, d));
      max = std::max(max, key(r, d));
    }
    centre[d] = CentreOf(min, max);
    const float stored = BFloat16ToFloat(centre[d]);
    float sum = 0.0F;
    for (int r = 0; r < kPageRows; ++r) sum += std::abs(stored - key(r, d));
    radii[d] = sum / kPageRows;
    if (!std::isfinite(radii[d])) return false;
    largest = std::max(largest, radii[d]);
  }
  *scale = RadiusScale(largest);
  for (int d = 0; d < dim; ++d) radius[d] = QuantisedRadius(radii[d], *scale);
  return true;
}

template <DType dtype>
absl::Status BuildAs(const KvShape& shape, absl::Span<const std::byte> page, std::uint16_t* centre,
                     std::uint8_t* radius, float* radius_scale) {
  for (int head = 0; head < shape.kv_heads; ++head) {
    const std::int64_t first = std::int64_t{head} * shape.key_dim;
    if (!BuildHead(PackedKeys<dtype>{page.data(), shape.RowBytes(), first}, shape.key_dim,
                   centre + first, radius + first, radius_scale + head)) {
      return absl::InvalidArgumentError("BuildDigest: a key of the page is not finite");
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status BuildDigest(const KvShape& shape, absl::Span<const std::byte> page,
                         absl::Span<std::uint16_t> centre, absl::Span<std::uint8_t> radius,
                         absl::Span<float> radius_scale) {
  PB_RETURN_IF_ERROR(CheckShape("BuildDigest", shape));
  PB_RETURN_IF_ERROR(CheckReadable("BuildDigest", shape.dtype));
  const auto heads = static_cast<std::size_t>(shape.kv_heads);
  const std::size_t width = heads * static_cast<std::size_t>(shape.key_dim);
  if (page.size() != kPageRows * shape.RowBytes() || centre.size() != width ||
      radius.size() != width || radius_scale.size() != heads) {
    return absl::InvalidArgumentError(absl::StrCat(
        "BuildDigest: a page of ", page.size(), " bytes, ", centre.size(), " centres, ",
        radius.size(), " radii and ", radius_scale.size(), " scales: this shape needs ",
        kPageRows * shape.RowBytes(), ", ", width, ", ", width, " and ", heads));
  }
  if (shape.dtype == DType::kF32) {
    return BuildAs<DType::kF32>(shape, page, centre.data(), radius.data(), radius_scale.data());
  }
  return BuildAs<DType::kBF16>(shape, page, centre.data(), radius.data(), radius_scale.data());
}

}  // namespace pinboard::kernels
