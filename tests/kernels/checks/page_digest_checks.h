// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What every implementation of BuildDigest and ScorePages must do.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "base/dtype.h"
#include "base/fixed_point.h"
#include "base/page.h"
#include "kernels/page_digest/page_digest.h"
#include "tests/kernels/seeded_random.h"

namespace pinboard::kernels::checks {

struct Digests {
  Digests(const KvShape& kv, int pages)
      : shape(kv),
        width(static_cast<std::size_t>(kv.kv_heads * kv.key_dim)),
        centre(pages * width),
        radius(pages * width),
        scale(static_cast<std::size_t>(pages * kv.kv_heads)) {}

  DigestView view() const { return {centre, radius, scale}; }
  double Centre(int page, int head, int d) const {
    return BFloat16ToFloat(centre[page * width + head * shape.key_dim + d]);
  }
  double Radius(int page, int head, int d) const {
    return static_cast<double>(radius[page * width + head * shape.key_dim + d]) *
           scale[page * shape.kv_heads + head];
  }

  KvShape shape;
  std::size_t width;
  std::vector<std::uint16_t> centre;
  std::vector<std::uint8_t> radius;
  std::vector<float> scale;
};

/// A packed f32 page from keys [kPageRows, kv_heads, key_dim]; values are left zero.
inline std::vector<std::byte> PackPage(const KvShape& shape, const std::vector<float>& keys) {
  std::vector<std::byte> page(kPageRows * shape.RowBytes());
  const std::size_t width = static_cast<std::size_t>(shape.kv_heads) * shape.key_dim;
  for (int r = 0; r < kPageRows; ++r) {
    for (std::size_t i = 0; i < width; ++i) {
      std::byte* at = page.data() + r * shape.RowBytes() + i * DTypeBytes(shape.dtype);
      const float key = keys[r * width + i];
      const std::uint16_t bits = FloatToBFloat16(key);
      if (shape.dtype == DType::kF32) {
        std::memcpy(at, &key, sizeof(key));
      } else {
        std::memcpy(at, &bits, sizeof(bits));
      }
    }
  }
  return page;
}

template <typename BuildFn>
void Build(BuildFn build, Digests& digests, int page, const std::vector<float>& keys) {
  const std::size_t heads = digests.shape.kv_heads;
  const absl::Status status =
      build(digests.shape, PackPage(digests.shape, keys),
            absl::MakeSpan(digests.centre).subspan(page * digests.width, digests.width),
            absl::MakeSpan(digests.radius).subspan(page * digests.width, digests.width),
            absl::MakeSpan(digests.scale).subspan(page * heads, heads));
  ASSERT_TRUE(status.ok()) << status;
}

/// Centre within bf16 of (min + max) / 2; radius never below the mean distance from the stored
/// centre, and at most one step above.
template <typename BuildFn>
void ExpectTightBoxes(BuildFn build, const KvShape& shape, SeededRandom& random) {
  Digests digests(shape, 1);
  std::vector<float> keys = random.Normals(kPageRows * digests.width, 3.0F);
  for (float& key : keys) {
    if (shape.dtype == DType::kBF16) key = BFloat16ToFloat(FloatToBFloat16(key));
  }
  Build(build, digests, 0, keys);
  for (int head = 0; head < shape.kv_heads; ++head) {
    for (int d = 0; d < shape.key_dim; ++d) {
      std::vector<double> column;
      for (int r = 0; r < kPageRows; ++r) {
        column.push_back(keys[r * digests.width + head * shape.key_dim + d]);
      }
      const auto [min, max] = std::minmax_element(column.begin(), column.end());
      const double middle = (*min + *max) / 2;
      ASSERT_NEAR(digests.Centre(0, head, d), middle, std::abs(middle) * 0x1p-8 + 1e-7);
      double mean = 0;
      for (const double key : column) mean += std::abs(digests.Centre(0, head, d) - key);
      mean /= kPageRows;
      ASSERT_GE(digests.Radius(0, head, d), mean * (1 - 0x1p-20));
      ASSERT_LE(digests.Radius(0, head, d), mean * (1 + 0x1p-20) + digests.scale[head]);
    }
  }
}

/// Page scores by the box formula, sum_d max(q_d lo_d, q_d hi_d), in double.
inline std::vector<double> BoxScores(const PageScoreArgs& args, const Digests& digests) {
  const int group = args.query_heads / args.shape.kv_heads;
  std::vector<double> best(args.pages.size(), 0.0);
  for (int token = 0; token < args.tokens; ++token) {
    std::vector<double> total(args.pages.size(), 0.0);
    for (int head = 0; head < args.query_heads; ++head) {
      const float* q = args.queries.data() +
                       (std::ptrdiff_t{token} * args.query_heads + head) * args.shape.key_dim;
      std::vector<double> score;
      for (const std::int32_t page : args.pages) {
        double sum = 0;
        for (int d = 0; d < args.shape.key_dim; ++d) {
          const double centre = digests.Centre(page, head / group, d);
          const double radius = digests.Radius(page, head / group, d);
          sum += std::max(q[d] * (centre - radius), q[d] * (centre + radius));
        }
        score.push_back(args.scale * sum);
      }
      const double max = *std::max_element(score.begin(), score.end());
      double denominator = 0;
      for (const double s : score) denominator += std::exp(s - max);
      for (std::size_t i = 0; i < score.size(); ++i) {
        total[i] += std::exp(score[i] - max) / denominator / args.total_query_heads;
      }
    }
    for (std::size_t i = 0; i < best.size(); ++i) best[i] = std::max(best[i], total[i]);
  }
  return best;
}

template <typename ScoreFn>
void ExpectEqualsTheBoxFormula(ScoreFn score, const PageScoreArgs& args, const Digests& digests) {
  std::vector<std::int32_t> out(args.pages.size());
  const absl::Status status = score(args, absl::MakeSpan(out));
  ASSERT_TRUE(status.ok()) << status;
  const std::vector<double> exact = BoxScores(args, digests);
  for (std::size_t i = 0; i < out.size(); ++i) {
    ASSERT_NEAR(FromFixed(out[i], kAttentionFractionBits), exact[i], exact[i] * 2e-4 + 0x1p-31)
        << i;
  }
}

}  // namespace pinboard::kernels::checks
