// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/inventory/catalog.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>
#include <tuple>
#include <vector>

#include "tests/support/seeded_random.h"

namespace pinboard::cache_service {
namespace {

using ::testing::UnorderedElementsAreArray;

constexpr GroupId kGroup{1};

PageKey Key(std::uint32_t page, std::uint16_t layer = 0, std::uint16_t shard = 0,
            std::uint64_t sequence = 7) {
  return {.sequence = sequence, .page = page, .layer = layer, .shard = shard};
}

TEST(ExtentTest, PlacesOfABlockAreDistinctAndKeptUpToTheHighestPageNumber) {
  Extent extent;
  std::set<const ExtentPage*> places;
  extent.At(Key(15, 15));
  for (std::uint32_t page = 0; page < kExtentPages; ++page) {
    for (std::uint16_t layer = 0; layer < kExtentLayers; ++layer) {
      EXPECT_EQ(ExtentNameOf(Key(page, layer)), ExtentNameOf(Key(0)));
      places.insert(&extent.At(Key(page, layer)));
    }
  }
  EXPECT_EQ(places.size(), kExtentPages * kExtentLayers);
  Extent short_one;
  short_one.At(Key(32 + 2, 5));
  EXPECT_EQ(short_one.pages().size(), 3 * kExtentLayers);
  EXPECT_EQ(short_one.Find(Key(32 + 3)), nullptr);
}

TEST(ExtentTest, ItsNameTellsBlocksAndShardsApart) {
  std::set<ExtentName> names;
  for (const std::uint32_t page : {0U, 16U, 32U, 0xfffffff0U}) {
    for (const std::uint16_t layer : {0, 16, 0xfff0}) {
      for (const std::uint16_t shard : {0, 1, 0xffff}) {
        EXPECT_TRUE(names.insert(ExtentNameOf(Key(page, layer, shard))).second);
      }
    }
  }
}

TEST(CatalogTest, ManyPagesAreLocatedWhereEachIsFound) {
  Catalog catalog;
  std::mt19937 random(TestSeed());
  const auto any_page = [&random] {
    return PageRef{Key(random() % 40, random() % 40, random() % 2, random() % 3), 1};
  };
  for (std::uint32_t slab = 0; slab < 3000; ++slab) {
    catalog.Insert(kGroup, any_page(), SlabIndex(slab));
  }
  for (int round = 0; round < 100; ++round) {
    std::vector<PageRef> pages;
    while (pages.size() < 48) {
      // Neighbours in a row, as a recall asks for them, through the ends of extents.
      const PageRef first = any_page();
      for (std::size_t i = 0; i < random() % 30; ++i) {
        pages.push_back(first);
        pages.back().key.layer += i;
      }
    }
    std::vector<const ExtentPage*> places(pages.size());
    catalog.Locate(kGroup, pages, absl::MakeSpan(places));
    for (std::size_t i = 0; i < pages.size(); ++i) {
      const Catalog::Lookup located = Catalog::Read(places[i], pages[i].generation);
      const Catalog::Lookup found = catalog.Find(kGroup, pages[i]);
      ASSERT_EQ(located.miss, found.miss) << "page " << i << " of round " << round;
      ASSERT_EQ(located.slab, found.slab) << "page " << i << " of round " << round;
    }
  }
}

TEST(CatalogTest, ARoundOfAllLayersTakesOneExtentPerSixteenOfThem) {
  Catalog catalog;
  for (std::uint16_t layer = 0; layer < 61; ++layer) {
    for (std::uint32_t page = 0; page < 5; ++page) {
      const SlabIndex slab(layer * 100U + page);
      EXPECT_TRUE(catalog.Insert(kGroup, {Key(page, layer), 1}, slab).inserted);
    }
  }
  EXPECT_EQ(catalog.pages(), 61 * 5);
  EXPECT_EQ(catalog.extents(), 4);
  EXPECT_EQ(catalog.DropSequence(kGroup, 7).size(), 61 * 5);
  EXPECT_EQ(catalog.pages(), 0);
  EXPECT_EQ(catalog.extents(), 0);
}

TEST(CatalogTest, APlaceThatWasNeverFilledIsUnknownNotGone) {
  Catalog catalog;
  catalog.Insert(kGroup, {Key(3, 3), 0}, SlabIndex(9));
  EXPECT_EQ(catalog.Find(kGroup, {Key(2, 2), 0}).miss, MissCause::kUnknown);
  EXPECT_EQ(catalog.Remove(kGroup, {Key(2, 2), 9}, MissCause::kDropped), std::nullopt);
  EXPECT_EQ(catalog.Find(kGroup, {Key(2, 2), 9}).miss, MissCause::kUnknown);
  EXPECT_TRUE(catalog.Insert(kGroup, {Key(2, 2), 0}, SlabIndex(8)).inserted);
}

/// Random histories against a map from each page to what is known of it.
TEST(CatalogTest, NoRandomHistoryDiffersFromAPlainMap) {
  struct Known {
    std::uint32_t generation = 0;
    MissCause gone = MissCause::kNone;
    SlabIndex slab;
  };
  using Name = std::pair<GroupId, PageKey>;
  SeededRandom random;
  Catalog catalog;
  std::map<Name, Known> model;
  std::uint32_t next_slab = 0;
  const auto slabs_of = [&model](auto predicate) {
    std::vector<SlabIndex> slabs;
    std::erase_if(model, [&](const auto& entry) {
      if (!predicate(entry.first)) return false;
      if (entry.second.gone == MissCause::kNone) slabs.push_back(entry.second.slab);
      return true;
    });
    return slabs;
  };
  for (int step = 0; step < 50000; ++step) {
    const GroupId group(random.Int(1, 2));
    const PageRef page{Key(random.Int(0, 40), static_cast<std::uint16_t>(random.Int(0, 40)),
                           static_cast<std::uint16_t>(random.Int(0, 1)), random.Int(1, 3)),
                       static_cast<std::uint32_t>(random.Int(0, 3))};
    const auto found = model.find({group, page.key});
    const int action = random.Int(0, 999);
    if (action < 500) {
      const SlabIndex slab(next_slab++);
      const auto result = catalog.Insert(group, page, slab);
      const bool stale = found != model.end() && (page.generation < found->second.generation ||
                                                  (page.generation == found->second.generation &&
                                                   found->second.gone != MissCause::kEvicted));
      ASSERT_EQ(result.inserted, !stale);
      if (stale) continue;
      const bool replaces = found != model.end() && found->second.gone == MissCause::kNone;
      ASSERT_EQ(result.replaced, replaces ? std::optional(found->second.slab) : std::nullopt);
      model[{group, page.key}] = {page.generation, MissCause::kNone, slab};
    } else if (action < 700) {
      const MissCause cause = random.OneIn(2) ? MissCause::kEvicted : MissCause::kDropped;
      const auto slab = catalog.Remove(group, page, cause);
      const bool known = found != model.end() && found->second.generation <= page.generation;
      const bool here = known && found->second.gone == MissCause::kNone;
      ASSERT_EQ(slab, here ? std::optional(found->second.slab) : std::nullopt);
      if (known) found->second = {page.generation, cause, {}};
    } else if (action < 996) {
      const Catalog::Lookup lookup = catalog.Find(group, page);
      MissCause expected = MissCause::kUnknown;
      if (found != model.end() && found->second.generation == page.generation) {
        expected = found->second.gone;
      } else if (found != model.end() && found->second.generation > page.generation) {
        expected = MissCause::kGeneration;
      }
      ASSERT_EQ(lookup.miss, expected);
      if (expected != MissCause::kNone) continue;
      ASSERT_EQ(lookup.slab, found->second.slab);
    } else if (action < 999) {
      ASSERT_THAT(catalog.DropSequence(group, page.key.sequence),
                  UnorderedElementsAreArray(slabs_of([&](const Name& name) {
                    return name.first == group && name.second.sequence == page.key.sequence;
                  })));
    } else {
      ASSERT_THAT(catalog.DropGroup(group),
                  UnorderedElementsAreArray(
                      slabs_of([&](const Name& name) { return name.first == group; })));
    }
    std::size_t here = 0;
    if (step % 100 == 0) {
      std::set<std::tuple<GroupId, std::uint64_t, ExtentName>> extents;
      for (const auto& [name, known] : model) {
        here += known.gone == MissCause::kNone ? 1 : 0;
        extents.insert({name.first, name.second.sequence, ExtentNameOf(name.second)});
      }
      ASSERT_EQ(catalog.pages(), here);
      ASSERT_EQ(catalog.extents(), extents.size());
    }
  }
}

}  // namespace
}  // namespace pinboard::cache_service
