// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Members that keep for each other what one of them has no room for.
#include <gtest/gtest.h>

#include "tests/cache_service/loopback_members.h"

namespace pinboard::cache_service {
namespace {

constexpr int kArenaPages = 256;
constexpr int kLow = 128;   // pages that are there at the low watermark
constexpr int kHigh = 230;  // and at the high one
constexpr int kAhead = 8;   // slabs that a client may have leased ahead
constexpr int kBatch = 16;  // pages offered at once: others may leave in their stead
constexpr int kMany = 600;  // more than one member holds; two hold them all

/// Pages of rising value, so that the first ones leave first.
class SpillTest : public ::testing::Test {
 protected:
  static ServerOptions Options(std::uint64_t arena_pages = kArenaPages) {
    ServerOptions options = LoopbackMembers::Options(arena_pages * kTestPageBytes, 1);
    options.watermarks = {0.9, 0.5};
    options.replication.orphan_timeout = absl::Hours(1);
    return options;
  }
  /// Waits for what is offered now and then, so that pages do not leave faster than they spill.
  static void Publish(LoopbackMember& member, PageStore& store, int first, int last,
                      std::uint64_t sequence = 7) {
    for (int page = first; page < last; ++page) {
      ASSERT_EQ(PublishTestPage(store, TestPage(page, 1, sequence), page), absl::OkStatus());
      if (page % kBatch == kBatch - 1) Settle(member);
    }
    Settle(member);
  }
  static double Spills(const LoopbackMember& member, const std::string& outcome) {
    return member.Count(absl::StrCat("spills_total{outcome=\"", outcome, "\"}"));
  }
  /// Until nothing is pinned, that is, offered, any more.
  static void Settle(LoopbackMember& member) {
    absl::SleepFor(absl::Milliseconds(2));
    member.Await("pins", 0);
  }
  static bool IsReadable(PageStore& store, const PageRef& page) {
    const FetchResult result = FetchTestPage(store, page);
    return result.pin.ok() && HasTestBytes(page, result.pin->bytes());
  }
  /// A store that starved for 2 s has given up its connection, and one without says no goodbye: its
  /// pages then stay as long as its process.
  static void AwaitConnection(PageStore& store) {
    const absl::Time give_up = Soon();
    while (!IsReadable(store, TestPage(kArenaPages - 1))) ASSERT_LT(absl::Now(), give_up);
  }
  static int Readable(PageStore& store, int first, int last, std::uint64_t sequence = 7) {
    int readable = 0;
    for (int page = first; page < last; ++page) {
      readable += IsReadable(store, TestPage(page, 1, sequence)) ? 1 : 0;
    }
    return readable;
  }
};

TEST_F(SpillTest, WhatLeavesAMemberThatIsFullIsFetchedAgain) {
  LoopbackMembers members(3, Options());
  const auto store = members[0].Connect();
  const int all = kArenaPages;
  Publish(members[0], *store, 0, all);
  const double gone = members[0].Count("evictions_total{cause=\"watermark\"}");
  ASSERT_GT(gone, 0);
  EXPECT_GE(Spills(members[0], "taken"), gone - kBatch);
  EXPECT_GE(Readable(*store, 0, all), all - kBatch);
  EXPECT_GE(members[0].Count("pulls_total{outcome=\"hit\"}"), gone - kBatch);
  EXPECT_GE(members[1].Count("spilled_fetches_total") + members[2].Count("spilled_fetches_total"),
            gone - kBatch);
  EXPECT_EQ(members[0].Count("copies_waiting"), 0);
}

TEST_F(SpillTest, NothingIsSpilledBelowTheLowWatermark) {
  LoopbackMembers members(2, Options());
  const auto store = members[0].Connect();
  Publish(members[0], *store, 0, kLow - kAhead);
  EXPECT_EQ(members[1].Count("pages"), 0);
}

TEST_F(SpillTest, OnlyRoomThatIsFreeIsTakenAndTheBestStayWhereTheyAre) {
  LoopbackMembers members(2, Options());
  const auto store = members[0].Connect();
  const auto other = members[1].Connect(2);
  Publish(members[1], *other, 0, kLow, 8);
  Publish(members[0], *store, 0, kMany);
  EXPECT_EQ(Spills(members[0], "taken"), 0);
  EXPECT_GT(Spills(members[0], "no_room"), 0);
  EXPECT_EQ(members[1].Count("evictions_total{cause=\"same_size\"}"), 0);
  EXPECT_EQ(Readable(*other, 0, kLow, 8), kLow);
  EXPECT_EQ(Readable(*store, kMany - 64, kMany), 64);
  EXPECT_EQ(Readable(*store, 0, 64), 0);
}

TEST_F(SpillTest, TheNextMemberIsOfferedWhatOneHasNoRoomFor) {
  LoopbackMembers members(3, Options());
  const auto store = members[0].Connect();
  const auto full = members[1].Connect(2);
  Publish(members[1], *full, 0, kLow, 8);
  constexpr int kLeaving = kHigh - kLow - kAhead;
  Publish(members[0], *store, 0, kLow + kLeaving);
  EXPECT_EQ(members[0].Count("evictions_total{cause=\"watermark\"}"), 0) << "not yet";
  EXPECT_GT(Spills(members[0], "no_room"), 0);
  EXPECT_GE(Spills(members[0], "taken"), kLeaving);
  EXPECT_EQ(members[1].Count("spilled_pages"), 0);
}

TEST_F(SpillTest, WhatWasSpilledIsNotSpilledOnAndLeavesFirst) {
  ServerOptions options = Options();
  options.eviction = LeastRecentlyUsed();
  LoopbackMembers members(3, options);
  const auto store = members[0].Connect();
  const auto host = members[1].Connect(2);
  Publish(members[1], *host, 0, 48, 8);
  Publish(members[0], *store, 0, kArenaPages);
  const int guests = static_cast<int>(members[1].Count("spilled_pages"));
  ASSERT_GT(guests, 1);
  ASSERT_LT(48 + guests, kLow);
  const int own = kLow - guests / 2;  // so half of the guests are to leave
  Publish(members[1], *host, 48, own, 8);
  for (const char* outcome : {"taken", "had", "no_room", "failed"}) {
    EXPECT_EQ(Spills(members[1], outcome), 0) << outcome;
  }
  const int more = kHigh + kAhead - guests;  // so as many leave as are between the marks
  Publish(members[1], *host, own, more, 8);
  EXPECT_EQ(members[1].Count("spilled_pages"), 0);
  EXPECT_GT(members[1].Count("pages"), kLow - kAhead);
}

TEST_F(SpillTest, WhatIsDroppedIsDroppedWhereItWasSpilledToo) {
  LoopbackMembers members(2, Options());
  const auto store = members[0].Connect();
  Publish(members[0], *store, 0, kArenaPages);
  const double spilled = members[1].Count("spilled_pages");
  ASSERT_GT(spilled, 1);
  ASSERT_TRUE(IsReadable(*members[1].Connect(), TestPage(0)));
  store->Drop({TestPage(0)});
  members[1].Await("spilled_pages", spilled - 1);
  EXPECT_FALSE(IsReadable(*store, TestPage(0)));
  store->DropSequence(7);
  members[1].Await("spilled_pages", 0);
}

TEST_F(SpillTest, WhatWasSpilledLeavesWithItsGroup) {
  LoopbackMembers members(2, Options());
  auto store = members[0].Connect();
  Publish(members[0], *store, 0, kArenaPages);
  ASSERT_GT(members[1].Count("spilled_pages"), 0);
  AwaitConnection(*store);
  store.reset();
  members[1].Await("pages", 0);
}

TEST_F(SpillTest, WhatWasSpilledLeavesWithAGroupThatHadToConnectAgain) {
  LoopbackMembers members(2, Options());
  auto store = members[0].Connect();
  Publish(members[0], *store, 0, kArenaPages);
  ASSERT_GT(members[1].Count("spilled_pages"), 0);
  members.hub().Stall(members[0].fabric(), true);
  store->Fetch({TestPage(0)}, absl::InfiniteFuture());
  EXPECT_FALSE(CollectFetched(*store).at(0).pin.ok()) << "the connection was given up";
  members.hub().Stall(members[0].fabric(), false);
  AwaitConnection(*store);
  store.reset();
  members[1].Await("pages", 0);
}

TEST_F(SpillTest, AMemberThatDiesTakesWhatWasSpilledAndNothingElseAndOthersAreOffered) {
  LoopbackMembers members(3, Options());
  const auto store = members[0].Connect();
  Publish(members[0], *store, 0, kArenaPages);
  const double lost = members[1].Count("spilled_pages");
  members.Kill(1);
  members[0].Await("peers{state=\"down\"}", 1);
  EXPECT_GE(Readable(*store, 0, kArenaPages), kArenaPages - lost - kBatch);
  const double taken = Spills(members[0], "taken");
  Publish(members[0], *store, kArenaPages, 2 * kArenaPages);
  EXPECT_GT(Spills(members[0], "taken"), taken);
  EXPECT_EQ(Readable(*store, 2 * kArenaPages - 64, 2 * kArenaPages), 64);
}

TEST_F(SpillTest, NobodyWaitsForAMemberThatDoesNotAnswer) {
  LoopbackMembers members(2, Options());
  const auto store = members[0].Connect();
  members.hub().Stall(members[1].fabric(), true);
  for (int page = 0; page < kMany; ++page) {
    ASSERT_EQ(PublishTestPage(*store, TestPage(page), page), absl::OkStatus());
  }
  EXPECT_GT(members[0].Count("evictions_total{cause=\"watermark\"}"), 0);
  EXPECT_EQ(Readable(*store, kMany - 64, kMany), 64);
  members.hub().Stall(members[1].fabric(), false);
  members[0].Await("peers{state=\"up\"}", 1);
}

}  // namespace
}  // namespace pinboard::cache_service
