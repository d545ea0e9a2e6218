// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/client/hold_table.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <random>

#include "tests/support/seeded_random.h"

namespace pinboard::cache_service {
namespace {

TEST(HoldTableTest, GivesBackWhatItWasGivenUnderEachName) {
  HoldTable<int> table;
  std::map<HoldId, int> model;
  std::mt19937 random(TestSeed());
  for (int i = 0; i < 10'000; ++i) {
    if (model.empty() || random() % 5 < 3) {
      const HoldId hold = table.Add(i);
      ASSERT_TRUE(model.emplace(hold, i).second) << "a name that is in use";
    } else {
      const auto held = std::next(model.begin(), static_cast<int>(random() % model.size()));
      ASSERT_EQ(table.Take(held->first), held->second);
      model.erase(held);
    }
    ASSERT_EQ(table.empty(), model.empty());
  }
}

TEST(HoldTableTest, KeepsNothingOfWhatWasTaken) {
  HoldTable<std::shared_ptr<int>> table;
  const auto held = std::make_shared<int>(1);
  table.Take(table.Add(held));
  EXPECT_EQ(held.use_count(), 1);
  EXPECT_TRUE(table.empty());
}

}  // namespace
}  // namespace pinboard::cache_service
