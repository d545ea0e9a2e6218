// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "base/strong_id.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <sstream>
#include <type_traits>

#include "absl/hash/hash.h"
#include "base/page.h"

namespace pinboard {
namespace {

using RankId = StrongId<struct RankTag, std::uint8_t>;
using LayerId = StrongId<struct LayerTag, std::uint8_t>;

static_assert(!std::is_convertible_v<int, RankId>);
static_assert(!std::is_convertible_v<RankId, int>);
static_assert(!std::is_constructible_v<LayerId, RankId>);

TEST(StrongIdTest, ComparesByValueAndStartsAtZero) {
  EXPECT_EQ(RankId().value(), 0);
  EXPECT_EQ(RankId(3), RankId(3));
  EXPECT_LT(RankId(2), RankId(3));
}

TEST(StrongIdTest, PrintsANumberAlsoWhereTheIntegerIsACharacter) {
  std::ostringstream out;
  out << RankId(65);
  EXPECT_EQ(out.str(), "65");
}

TEST(StrongIdTest, HashesByValue) {
  const absl::Hash<RankId> hash;
  EXPECT_EQ(hash(RankId(7)), hash(RankId(7)));
  EXPECT_NE(hash(RankId(7)), hash(RankId(8)));
}

TEST(PageKeyTest, EveryFieldCountsInHashAndOrder) {
  const PageKey key = {.sequence = 1, .page = 2, .layer = 3, .shard = 4};
  const absl::Hash<PageKey> hash;
  for (const PageKey& larger :
       {PageKey{2, 2, 3, 4}, PageKey{1, 3, 3, 4}, PageKey{1, 2, 4, 4}, PageKey{1, 2, 3, 5}}) {
    EXPECT_NE(hash(key), hash(larger));
    EXPECT_LT(key, larger);
  }
  EXPECT_LT((PageKey{1, 2, 9, 9}), (PageKey{1, 3, 0, 0}));
}

}  // namespace
}  // namespace pinboard
