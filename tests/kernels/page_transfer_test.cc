// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "kernels/page_transfer/page_transfer.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/kernels/checks/page_transfer_checks.h"
#include "tests/kernels/under_test/under_test.h"

namespace pinboard::kernels {
namespace {

class PageTransferTest : public testing::TestWithParam<CacheCase> {};

INSTANTIATE_TEST_SUITE_P(Shapes, PageTransferTest, testing::ValuesIn(AllCacheCases()),
                         [](const auto& info) { return info.param.name; });

TEST_P(PageTransferTest, BringsRowsFromAnywhereBackUnchanged) {
  SeededRandom random;
  for (int trial = 0; trial < 20; ++trial) {
    const int rows = random.Int(kPageRows, 150);
    PagedCache cache(GetParam(), rows, random);
    checks::ExpectRoundTrip(under_test::PageGather, under_test::PageScatter, cache, rows, random);
    if (HasFatalFailure()) return;
  }
}

TEST_P(PageTransferTest, RefusesAFlippedBitAnywhereAndWritesNothing) {
  SeededRandom random;
  PagedCache cache(GetParam(), 64, random);
  const PageIdentity identity{{1, 2, 3, 4}, 5};
  std::vector<std::byte> page;
  const std::uint64_t tag = checks::Gather(under_test::PageGather, cache,
                                           checks::RandomPageRows(random, 64), identity, page);
  for (int trial = 0; trial < 50; ++trial) {
    const auto at = static_cast<std::size_t>(random.Int(0, static_cast<int>(page.size()) - 1));
    const auto bit = static_cast<std::byte>(1U << static_cast<unsigned>(random.Int(0, 7)));
    page[at] ^= bit;
    checks::ExpectRefused(under_test::PageScatter, cache, identity, tag, page);
    page[at] ^= bit;
  }
}

TEST_P(PageTransferTest, RefusesAPageOfAnotherIdentityAndWritesNothing) {
  SeededRandom random;
  PagedCache cache(GetParam(), 64, random);
  const PageIdentity identity{{1, 2, 3, 4}, 5};
  std::vector<std::byte> page;
  const std::uint64_t tag = checks::Gather(under_test::PageGather, cache,
                                           checks::RandomPageRows(random, 64), identity, page);
  for (const PageIdentity& other :
       {PageIdentity{{2, 2, 3, 4}, 5}, PageIdentity{{1, 1, 3, 4}, 5}, PageIdentity{{1, 2, 4, 4}, 5},
        PageIdentity{{1, 2, 3, 3}, 5}, PageIdentity{{1, 2, 3, 4}, 4}}) {
    checks::ExpectRefused(under_test::PageScatter, cache, other, tag, page);
  }
}

TEST(PageTagTest, DependsOnEachFieldOfTheIdentityAndOnWhichFieldHoldsAValue) {
  const std::vector<std::byte> page(128);
  std::set<std::uint64_t> tags;
  std::size_t identities = 0;
  for (const std::uint64_t sequence : {0U, 1U}) {
    for (const std::uint32_t number : {0U, 1U}) {
      for (const std::uint16_t layer : {0, 1}) {
        for (const std::uint16_t shard : {0, 1}) {
          for (const std::uint32_t generation : {0U, 1U}) {
            tags.insert(PageTag(page, {{sequence, number, layer, shard}, generation}));
            ++identities;
          }
        }
      }
    }
  }
  EXPECT_EQ(tags.size(), identities);
}

TEST(PageTagTest, DependsOnWhereAWordLies) {
  std::vector<std::byte> page(256);
  std::set<std::uint64_t> tags;
  for (std::size_t at = 0; at < page.size(); at += 8) {
    page[at] = std::byte{1};
    tags.insert(PageTag(page, {}));
    page[at] = std::byte{0};
  }
  EXPECT_EQ(tags.size(), page.size() / 8);
  EXPECT_NE(PageTag(page, {}), 0U) << "an empty page must not look like missing memory";
}

// Pages outlive a build of the service and its clients: the tag must never change silently.
TEST(PageTagTest, StaysAsItIs) {
  std::vector<std::byte> page(1024);
  for (std::size_t i = 0; i < page.size(); ++i) page[i] = static_cast<std::byte>(i * 37 + 11);
  EXPECT_EQ(PageTag(page, {{0x0123456789abcdefU, 17, 5, 2}, 3}), 0x80a10ea154511b40U);
}

TEST(PageTransferTest, RefusesShapesThatDisagree) {
  SeededRandom random;
  PagedCache cache(AllCacheCases().front(), 64, random);
  std::vector<std::byte> page(PageBytes(cache.shape()));
  const auto rows = checks::RandomPageRows(random, 64);
  const auto gather = [&](absl::Span<const std::int32_t> some, absl::Span<std::byte> to) {
    return PageGather(checks::CopyArgs(cache), some, {}, to).status().code();
  };
  constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
  EXPECT_EQ(gather(absl::MakeConstSpan(rows).first(15), absl::MakeSpan(page)), kInvalid);
  EXPECT_EQ(gather(rows, absl::MakeSpan(page).first(page.size() - 8)), kInvalid);
  auto outside = rows;
  outside[3] = 64;
  EXPECT_EQ(gather(outside, absl::MakeSpan(page)), kInvalid);
  outside[3] = -1;
  EXPECT_EQ(gather(outside, absl::MakeSpan(page)), kInvalid);
  for (const int first_row : {-1, 49}) {
    EXPECT_EQ(PageScatter(checks::CopyArgs(cache), first_row, {}, PageTag(page, {}), page).code(),
              kInvalid);
  }
}

}  // namespace
}  // namespace pinboard::kernels
