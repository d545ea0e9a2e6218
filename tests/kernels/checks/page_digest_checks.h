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
#include "tests/support/seeded_random.h"

namespace pinboard::kernels::checks {

struct Digests {
  Digests(const KvShape& kv, int pages)
      : shape(kv),
        width(static_cast<std::size_t>(kv.kv_heads * kv.key_dim)),
        centres(pages * width * kDigestCentres),
        counts(static_cast<std::size_t>(pages * kv.kv_heads * kDigestCentres)),
        step(static_cast<std::size_t>(pages * kv.kv_heads)) {}

  DigestView view() const { return {centres, counts, step}; }
  DigestSlot slot(int page) {
    const std::size_t heads = shape.kv_heads;
    const std::size_t per_page = heads * kDigestCentres;
    return {absl::MakeSpan(centres).subspan(page * width * kDigestCentres, width * kDigestCentres),
            absl::MakeSpan(counts).subspan(page * per_page, per_page),
            absl::MakeSpan(step).subspan(page * heads, heads)};
  }
  std::size_t At(int page, int head, int c) const {
    return static_cast<std::size_t>((page * shape.kv_heads + head) * kDigestCentres + c);
  }
  int Count(int page, int head, int c) const { return counts[At(page, head, c)]; }
  int Steps(int page, int head, int c, int d) const {
    return centres[At(page, head, c) * shape.key_dim + d];
  }
  double Centre(int page, int head, int c, int d) const {
    return static_cast<double>(Steps(page, head, c, d)) * step[page * shape.kv_heads + head];
  }

  KvShape shape;
  std::size_t width;  // of one row's keys
  std::vector<std::int8_t> centres;
  std::vector<std::uint8_t> counts;
  std::vector<float> step;
};

/// A page from keys [kPageRows, kv_heads, key_dim], each at the nearest value of the format; values
/// are left zero. A latent's scales are 1/64, those of heads 1.
inline std::vector<std::byte> PackPage(const KvShape& shape, const std::vector<float>& keys) {
  std::vector<std::byte> page(kPageRows * shape.RowBytes());
  const std::size_t width = static_cast<std::size_t>(shape.kv_heads) * shape.key_dim;
  const std::size_t latent = shape.dtype == DType::kF8DsMla ? shape.value_dim : width;
  for (int r = 0; r < kPageRows; ++r) {
    std::byte* const row = page.data() + r * shape.RowBytes();
    const auto store = [&](std::size_t at, auto value) {
      std::memcpy(row + at, &value, sizeof(value));
    };
    for (std::size_t tile = 0; latent < width && tile < latent / kLatentTile; ++tile) {
      store(latent + tile * sizeof(float), 1.0F / 64);
    }
    const std::size_t rotary = latent + latent / kLatentTile * sizeof(float);
    for (std::size_t i = 0; i < width; ++i) {
      const float key = keys[r * width + i];
      switch (shape.dtype) {
        case DType::kF32:
          store(i * 4, key);
          break;
        case DType::kBF16:
          store(i * 2, FloatToBFloat16(key));
          break;
        case DType::kF16:
          store(i * 2, FloatToFloat16(key));
          break;
        case DType::kF8E4M3:
          store(i, FloatToE4M3(key));
          break;
        case DType::kF8DsMla:
          i < latent ? store(i, FloatToE4M3(key * 64))
                     : store(rotary + (i - latent) * 2, FloatToBFloat16(key));
          break;
      }
    }
  }
  return page;
}

/// What PackPage makes of value `d` of a head's key.
inline float PackedKey(const KvShape& shape, float key, int d) {
  switch (shape.dtype) {
    case DType::kF32:
      return key;
    case DType::kF16:
      return Float16ToFloat(FloatToFloat16(key));
    case DType::kF8E4M3:
      return E4M3ToFloat(FloatToE4M3(key));
    case DType::kF8DsMla:
      if (d < shape.value_dim) return E4M3ToFloat(FloatToE4M3(key * 64)) / 64;
      break;
    case DType::kBF16:
      break;
  }
  return BFloat16ToFloat(FloatToBFloat16(key));
}

template <typename BuildFn>
void Build(BuildFn build, Digests& digests, int page, const std::vector<float>& keys) {
  const absl::Status status =
      build(digests.shape, PackPage(digests.shape, keys), nullptr, digests.slot(page));
  ASSERT_TRUE(status.ok()) << status;
}

/// The definition once more, plainly: keys in steps, then Lloyd's algorithm over whole vectors.
inline std::vector<std::vector<int>> NaiveCentres(const std::vector<std::vector<int>>& keys,
                                                  std::vector<int>* rows) {
  std::vector<std::vector<int>> centres = {keys[4], keys[12]};
  for (int pass = 0; pass < 6; ++pass) {
    std::vector<std::vector<std::vector<int>>> members(centres.size());
    for (const std::vector<int>& key : keys) {
      std::vector<int> distance;
      for (const std::vector<int>& centre : centres) {
        int sum = 0;
        for (std::size_t d = 0; d < key.size(); ++d) {
          sum += (key[d] - centre[d]) * (key[d] - centre[d]);
        }
        distance.push_back(sum);
      }
      members[std::min_element(distance.begin(), distance.end()) - distance.begin()].push_back(key);
    }
    rows->clear();
    for (std::size_t c = 0; c < centres.size(); ++c) {
      rows->push_back(static_cast<int>(members[c].size()));
      if (members[c].empty()) continue;
      for (std::size_t d = 0; d < centres[c].size(); ++d) {
        double sum = 0;
        for (const std::vector<int>& key : members[c]) sum += key[d];
        centres[c][d] =
            static_cast<int>(std::floor(sum / static_cast<double>(members[c].size()) + 0.5));
      }
    }
  }
  return centres;
}

/// Centres, counts and step are exactly those of the definition.
template <typename BuildFn>
void ExpectTheDefinition(BuildFn build, const KvShape& shape, const std::vector<float>& keys) {
  Digests digests(shape, 1);
  Build(build, digests, 0, keys);
  for (int head = 0; head < shape.kv_heads; ++head) {
    const auto key = [&](int r, int d) {
      return PackedKey(shape, keys[r * digests.width + head * shape.key_dim + d], d);
    };
    float largest = 0;
    for (int r = 0; r < kPageRows; ++r) {
      for (int d = 0; d < shape.key_dim; ++d) largest = std::max(largest, std::abs(key(r, d)));
    }
    ASSERT_EQ(digests.step[head], largest / 127);
    std::vector<std::vector<int>> steps(kPageRows);
    for (int r = 0; r < kPageRows; ++r) {
      for (int d = 0; d < shape.key_dim; ++d) {
        const float step =
            digests.step[head] > 0 ? std::rint(key(r, d) / digests.step[head]) : 0.0F;
        steps[r].push_back(static_cast<int>(std::clamp(step, -127.0F, 127.0F)));
      }
    }
    std::vector<int> counts;
    const auto centres = NaiveCentres(steps, &counts);
    for (int c = 0; c < kDigestCentres; ++c) {
      ASSERT_EQ(digests.Count(0, head, c), counts[c]) << "head " << head << " centre " << c;
      for (int d = 0; d < shape.key_dim; ++d) {
        ASSERT_EQ(digests.Steps(0, head, c, d), centres[c][d])
            << "head " << head << " centre " << c;
      }
    }
  }
}

/// Page scores by the formula, in double.
inline std::vector<double> NaiveScores(const PageScoreArgs& args, const Digests& digests) {
  const int group = args.query_heads / args.shape.kv_heads;
  std::vector<double> best(args.pages.size(), 0.0);
  for (int token = 0; token < args.tokens; ++token) {
    std::vector<double> total(args.pages.size(), 0.0);
    for (int head = 0; head < args.query_heads; ++head) {
      const float* q = args.queries.data() +
                       (std::ptrdiff_t{token} * args.query_heads + head) * args.shape.key_dim;
      std::vector<double> mass;
      double sum = 0;
      for (const std::int32_t page : args.pages) {
        mass.push_back(0);
        for (int c = 0; c < kDigestCentres; ++c) {
          double product = 0;
          for (int d = 0; d < args.shape.key_dim; ++d) {
            product += q[d] * digests.Centre(page, head / group, c, d);
          }
          mass.back() +=
              digests.Count(page, head / group, c) * std::exp(args.attention_scale * product);
        }
        sum += mass.back();
      }
      for (std::size_t i = 0; i < mass.size(); ++i) {
        total[i] += mass[i] / sum * (mass[i] / sum) / args.total_query_heads;
      }
    }
    for (std::size_t i = 0; i < best.size(); ++i) best[i] = std::max(best[i], total[i]);
  }
  return best;
}

template <typename ScoreFn>
void ExpectEqualsTheFormula(ScoreFn score, const PageScoreArgs& args, const Digests& digests) {
  std::vector<std::int32_t> out(args.pages.size());
  const absl::Status status = score(args, absl::MakeSpan(out));
  ASSERT_TRUE(status.ok()) << status;
  const std::vector<double> exact = NaiveScores(args, digests);
  for (std::size_t i = 0; i < out.size(); ++i) {
    ASSERT_NEAR(FromFixed(out[i], kAttentionFractionBits), exact[i], exact[i] * 4e-4 + 0x1p-31)
        << i;
  }
}

}  // namespace pinboard::kernels::checks
