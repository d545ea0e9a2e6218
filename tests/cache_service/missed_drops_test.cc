// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/replication/missed_drops.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "tests/cache_service/test_pages.h"

namespace pinboard::cache_service {
namespace {

MissedDrops::Drop Make(std::variant<PeerDrop, PeerDropSequence> drop) {
  return std::make_shared<const std::variant<PeerDrop, PeerDropSequence>>(std::move(drop));
}
MissedDrops::Drop Pages(std::size_t count) {
  return Make(PeerDrop{1, std::vector<PageRef>(count, TestPage(1))});
}
MissedDrops::Drop Sequence(std::uint64_t sequence) { return Make(PeerDropSequence{1, sequence}); }

TEST(MissedDropsTest, TheyComeInTheirOrder) {
  MissedDrops missed;
  missed.Add(Sequence(1));
  missed.Add(Pages(3));
  EXPECT_EQ(std::get<PeerDropSequence>(*missed.TakeFirst()).sequence, 1);
  EXPECT_EQ(std::get<PeerDrop>(*missed.TakeFirst()).pages.size(), 3);
  EXPECT_TRUE(missed.empty());
}

TEST(MissedDropsTest, MorePagesThanAreKeptAreCountedAndThereIsRoomAgainOnceSomeAreTaken) {
  MissedDrops missed;
  for (std::size_t pages = 0; pages < MissedDrops::kMostPages; pages += kMaxListElements) {
    missed.Add(Pages(kMaxListElements));
  }
  EXPECT_EQ(missed.lost(), 0);
  missed.Add(Sequence(1));
  missed.Add(Pages(5));
  EXPECT_EQ(missed.lost(), 6);
  missed.TakeFirst();
  missed.Add(Pages(kMaxListElements));
  EXPECT_EQ(missed.lost(), 6);
  missed.Add(Sequence(2));
  EXPECT_EQ(missed.lost(), 7);
  missed.Clear();
  EXPECT_TRUE(missed.empty());
  missed.Add(Pages(kMaxListElements));
  EXPECT_EQ(missed.lost(), 7);
}

}  // namespace
}  // namespace pinboard::cache_service
