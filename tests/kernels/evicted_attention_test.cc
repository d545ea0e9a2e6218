// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "kernels/evicted_attention/evicted_attention.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>

#include "base/page.h"
#include "tests/kernels/checks/page_digest_checks.h"
#include "tests/kernels/paged_cache.h"
#include "tests/kernels/under_test/under_test.h"

namespace pinboard::kernels {
namespace {

using ::testing::HasSubstr;

/// Rows of a cache of which the last pages are evicted: their rows, and their digests.
class Case {
 public:
  Case(const CacheCase& c, int rows, int pages, SeededRandom& random)
      : cache_(c, rows + pages * kPageRows, random), rows_(rows), digests_(c.shape, pages) {
    evicted_.resize(static_cast<std::size_t>(pages));
    std::iota(evicted_.begin(), evicted_.end(), 0);
  }

  PagedCache& cache() { return cache_; }
  int first_row_of(int page) const { return rows_ + page * kPageRows; }

  void BuildDigests() {
    const KvShape& shape = cache_.shape();
    for (const int page : evicted_) {
      std::vector<std::byte> rows;
      for (int row = first_row_of(page); row < first_row_of(page + 1); ++row) {
        const std::vector<std::byte> bytes = cache_.Row(row);
        rows.insert(rows.end(), bytes.begin(), bytes.end());
      }
      const absl::Status status =
          BuildDigest(shape, rows, cache_.view().key.scales, digests_.slot(page));
      ASSERT_TRUE(status.ok()) << status;
    }
  }

  EvictedAttentionArgs Args(const std::vector<float>& query, int query_heads, float scale) {
    return {.layer = {cache_.view(), cache_.shape(), cache_.block_size(), cache_.block_table()},
            .rows = rows_,
            .ring_rows = rows_ / 2,
            .digests = digests_.view(),
            .evicted = evicted_,
            .query = query,
            .query_heads = query_heads,
            .attention_scale = scale};
  }

  /// From the evicted rows themselves, in float64.
  double ExactShare(const std::vector<float>& query, int query_heads, float scale) const {
    const KvShape& shape = cache_.shape();
    double share = 0.0;
    for (int head = 0; head < query_heads; ++head) {
      double resident = 0.0;
      double evicted = 0.0;
      const int all = rows_ + static_cast<int>(evicted_.size()) * kPageRows;
      for (int row = 0; row < all; ++row) {
        double product = 0.0;
        for (int d = 0; d < shape.key_dim; ++d) {
          product += double{query[head * shape.key_dim + d]} *
                     cache_.Key(row, head * shape.kv_heads / query_heads, d);
        }
        (row < rows_ ? resident : evicted) += std::exp(scale * product);
      }
      share += evicted / (resident + evicted) / query_heads;
    }
    return share;
  }

 private:
  PagedCache cache_;
  int rows_;
  checks::Digests digests_;
  std::vector<std::int32_t> evicted_;
};

// Two attended rows, logits 0 and ln 3; a page of 16 rows of logit -ln 4: R = 1 + 3, M = 16 / 4.
// The ring is the first row, a quarter of the attention; its head has a half for the evicted.
TEST(EvictedAttentionTest, EqualsTheWorkedExample) {
  SeededRandom random;
  Case c({"", {1, 1, 1, false, DType::kF32}}, 2, 1, random);
  c.cache().SetKey(0, 0, 0, 0.0F);
  c.cache().SetKey(1, 0, 0, std::log(3.0F));
  for (int row = 2; row < 18; ++row) c.cache().SetKey(row, 0, 0, -std::log(4.0F));
  c.BuildDigests();
  const std::vector<float> query = {1.0F};
  const auto result = under_test::EvictedAttention(c.Args(query, 1, 1.0F));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_NEAR(result->evicted_share, 0.5, 1e-6);
  EXPECT_EQ(result->attended_ring_rows, 1);
}

TEST(EvictedAttentionTest, IsExactWhereThePagesRowsAreTheirCentres) {
  SeededRandom random;
  for (const CacheCase& cache : AllCacheCases()) {
    if (DTypeBytes(cache.shape.dtype) == 1) continue;  // has too few bits for the steps
    SCOPED_TRACE(cache.name);
    Case c(cache, 40, 5, random);
    for (int page = 0; page < 5; ++page) {
      for (int row = 0; row < kPageRows; ++row) {
        for (int head = 0; head < cache.shape.kv_heads; ++head) {
          for (int d = 0; d < cache.shape.key_dim; ++d) {
            // Two distinct keys of a page in whole steps: 1.27 is the largest.
            const int steps = d == 0 ? 127 : (row < 8 ? 1 : -1) * ((d * 7 + page * 5) % 100);
            c.cache().SetKey(c.first_row_of(page) + row, head, d,
                             static_cast<float>(steps) / 128.0F);
          }
        }
      }
    }
    c.BuildDigests();
    const auto query = random.Normals(std::size_t{4} * cache.shape.key_dim, 1.0F);
    const auto result = under_test::EvictedAttention(c.Args(query, 4, 0.3F));
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_NEAR(result->evicted_share, c.ExactShare(query, 4, 0.3F), 1e-6);
  }
}

TEST(EvictedAttentionTest, OfRandomPagesIsBelowTheExactShareAndCloseWhereRowsAreAlike) {
  SeededRandom random;
  for (const CacheCase& cache : AllCacheCases()) {
    SCOPED_TRACE(cache.name);
    Case c(cache, 40, 5, random);
    for (int row = 40; row < 40 + 5 * kPageRows; ++row) {
      for (int head = 0; head < cache.shape.kv_heads; ++head) {
        for (int d = 0; d < cache.shape.key_dim; ++d) {
          const float place = static_cast<float>((row / kPageRows * 13 + d * 5) % 17 - 8) / 8.0F;
          c.cache().SetKey(row, head, d, place + 0.2F * c.cache().Key(row, head, d));
        }
      }
    }
    c.BuildDigests();
    const float scale = 1.0F / std::sqrt(static_cast<float>(cache.shape.key_dim));
    const auto query = random.Normals(std::size_t{4} * cache.shape.key_dim, 1.0F);
    const auto result = under_test::EvictedAttention(c.Args(query, 4, scale));
    ASSERT_TRUE(result.ok()) << result.status();
    const double exact = c.ExactShare(query, 4, scale);
    EXPECT_LT(result->evicted_share, exact * 1.02);
    EXPECT_GT(result->evicted_share, exact * 0.9);
  }
}

TEST(EvictedAttentionTest, CountsARingRowOnceHoweverManyHeadsAttendToIt) {
  SeededRandom random;
  const CacheCase cache{"", {1, 2, 2, false, DType::kF32}};
  Case c(cache, 400, 0, random);
  for (int row = 0; row < 400; ++row) {
    c.cache().SetKey(row, 0, 0, row == 3 ? 8.0F : 0.0F);
    c.cache().SetKey(row, 0, 1, row == 5 ? 8.0F : 0.0F);
  }
  const std::vector<float> query = {1, 0, 0, 1, 1, 0};  // heads: row 3, row 5, row 3
  const auto result = under_test::EvictedAttention(c.Args(query, 3, 1.0F));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->attended_ring_rows, 2);
  EXPECT_EQ(result->evicted_share, 0.0);
}

TEST(EvictedAttentionTest, EqualsTheSpecificationOverManyRowsAndPages) {
  SeededRandom random;
  for (const CacheCase& cache : AllCacheCases()) {
    SCOPED_TRACE(cache.name);
    Case c(cache, random.Int(1, 700), random.Int(0, 12), random);
    c.BuildDigests();
    const auto query = random.Normals(std::size_t{4} * cache.shape.key_dim, 1.0F);
    const float scale = static_cast<float>(random.Uniform(0.0, 0.5));
    const auto result = under_test::EvictedAttention(c.Args(query, 4, scale));
    const auto specified = EvictedAttention(c.Args(query, 4, scale));
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_NEAR(result->evicted_share, specified->evicted_share, 1e-9);
    EXPECT_EQ(result->attended_ring_rows, specified->attended_ring_rows);
  }
}

TEST(EvictedAttentionTest, RefusesWhatDoesNotFitTogether) {
  SeededRandom random;
  Case c(AllCacheCases().front(), 40, 2, random);
  c.BuildDigests();
  const auto query = random.Normals(std::size_t{4} * c.cache().shape().key_dim, 1.0F);
  const auto refusal = [](const EvictedAttentionArgs& args) {
    const auto result = EvictedAttention(args);
    EXPECT_EQ(result.status().code(), absl::StatusCode::kInvalidArgument);
    return std::string(result.status().message());
  };
  auto no_rows = c.Args(query, 4, 1.0F);
  no_rows.rows = 0;
  EXPECT_THAT(refusal(no_rows), HasSubstr("0 attended rows"));
  EXPECT_THAT(refusal(c.Args(query, 3, 1.0F)), HasSubstr("3 heads"));
  auto long_ring = c.Args(query, 4, 1.0F);
  long_ring.ring_rows = 41;
  EXPECT_THAT(refusal(long_ring), HasSubstr("41 of them in the ring"));
  const std::vector<std::int32_t> unknown = {2};
  auto no_digest = c.Args(query, 4, 1.0F);
  no_digest.evicted = unknown;
  EXPECT_THAT(refusal(no_digest), HasSubstr("page 2 of 2 digests"));
  auto broken = query;
  broken[1] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(refusal(c.Args(broken, 4, 1.0F)), HasSubstr("not finite"));
  EXPECT_EQ(under_test::EvictedAttention(c.Args(broken, 4, 1.0F)).status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace pinboard::kernels
