// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What a member that was away is told of drops.
#include <gtest/gtest.h>

#include "cache_service/replication/missed_drops.h"
#include "tests/cache_service/introduced_member.h"

namespace pinboard::cache_service {
namespace {

constexpr int kPages = 32;

class AbsentMemberTest : public ::testing::Test {
 protected:
  AbsentMemberTest() : store_(members_[0].Connect()) {
    PublishPages(*store_, kPages);
    members_[1].Await("pages", kPages);
    members_.hub().Stall(members_[1].fabric(), true);
    const absl::Status published = PublishTestPage(*store_, TestPage(kPages));
    EXPECT_EQ(published, absl::OkStatus());  // it does not answer
    members_[0].Await("peers{state=\"down\"}", 1);
  }
  void Return() { members_.hub().Stall(members_[1].fabric(), false); }

  LoopbackMembers members_{2, LoopbackMembers::Options(256 * kTestPageBytes, 2)};
  std::unique_ptr<PageStore> store_;
};

TEST_F(AbsentMemberTest, ItHearsOfWhatWasDroppedWhenItIsBack) {
  for (int page = 1; page < kPages; ++page) store_->Drop({TestPage(page)});
  store_->DropSequence(8);
  members_[0].Await("pages", 2);
  Return();
  members_[1].Await("pages", 2);
  members_[0].Await("copies_waiting", 0);
}

// What had been kept was forgotten with the view, and what was dropped then was not counted either.
TEST_F(AbsentMemberTest, ItHearsOfWhatWasDroppedBeforeAndWhileNobodyTookItForAMember) {
  for (int page = 1; page < kPages / 2; ++page) store_->Drop({TestPage(page)});
  members_[0].Await("pages", kPages / 2 + 2);
  members_[0].membership().Tell({members_[0].self()});
  members_[0].Await("peers{state=\"down\"}", 0);
  for (int page = kPages / 2; page < kPages; ++page) store_->Drop({TestPage(page)});
  members_[0].Await("pages", 2);
  members_[0].membership().Tell(members_.All());
  Return();
  members_[1].Await("pages", 2);
}

// 4,096 drops were kept, whatever was in them.
TEST_F(AbsentMemberTest, ItHearsOfManyDropsWhenItIsBack) {
  for (std::uint64_t sequence = 1000; sequence < 7000; ++sequence) store_->DropSequence(sequence);
  store_->DropSequence(TestPage(0).key.sequence);
  members_[0].Await("pages", 0);
  Return();
  members_[1].Await("pages", 0);
  EXPECT_EQ(members_[0].Count("lost_drops_total"), 0);
}

TEST_F(AbsentMemberTest, ItHearsOfSoManyPagesAndTheOthersAreCounted) {
  std::vector<PageRef> many(kMaxListElements, TestPage(1, 1, 99));
  for (int page = 0; page < kPages; ++page) many[page] = TestPage(page);
  for (std::size_t pages = 0; pages <= MissedDrops::kMostPages; pages += many.size()) {
    store_->Drop(many);
  }
  members_[0].Await("lost_drops_total", static_cast<double>(many.size()));
  Return();
  members_[1].Await("pages", 1);
}

// With all that it had missed under way at once it was taken for one that takes nothing in.
TEST(ReturningMemberTest, AMemberThatIsBackIsNotLeftForAllThatItHasMissed) {
  LoopbackMembers members(1, LoopbackMembers::Options(256 * kTestPageBytes, 1));
  members[0].membership().Tell({members[0].self(),
                                {.name = "back", .address = "loopback:1", .incarnation = 1},
                                {.name = "deaf", .address = "loopback:2", .incarnation = 1}});
  members[0].Await("peers{state=\"down\"}", 2);
  const auto store = members[0].Connect();
  PublishPages(*store, kPages);
  Introduced(members, "back");
  const auto deaf = Introduced(members, "deaf");
  members[0].Await("clients", 2);
  members.hub().Stall(deaf->fabric(), true);
  for (std::uint64_t sequence = 1000; sequence < 5000; ++sequence) store->DropSequence(sequence);
  store->DropSequence(TestPage(0).key.sequence);
  members[0].Await("pages", 0);

  const auto back = Introduced(members, "back");
  members.hub().Stall(back->fabric(), true);
  for (std::uint64_t sequence = 5000; sequence < 5200; ++sequence) store->DropSequence(sequence);
  members[0].Await("clients", 2);  // deaf is left, as more than 4,096 are on their way to it
  members.hub().Stall(back->fabric(), false);
  const auto told = back->ReceiveUntil<PeerDropSequence>(
      [](const std::vector<PeerDropSequence>& so_far) { return so_far.size() >= 4201; });
  EXPECT_EQ(told.size(), 4201);
}

// Nobody heard of what was under way then, and nobody counted it.
TEST(ReturningMemberTest, DropsAreToldAgainWhereTheFirstConnectionAfterAnAbsenceBreaks) {
  LoopbackMembers members(2, LoopbackMembers::Options(256 * kTestPageBytes, 1));
  auto listed = members.All();
  listed.push_back({.name = "third", .address = "loopback:1", .incarnation = 1});
  members[0].membership().Tell(listed);
  members[0].Await("peers{state=\"down\"}", 1);
  const auto store = members[0].Connect();
  PublishPages(*store, kPages);
  const double clients = members[0].Count("clients");
  Introduced(members, "third");
  members[0].Await("clients", clients);  // it has come and gone
  store->Drop({TestPage(1)});
  members[0].Await("pages", kPages - 1);

  const auto breaks = Greeted(members.hub(), members[0].self().address, "third");
  members.hub().Stall(members[0].fabric(), true);
  breaks->Send(Introduce{"third", 1});
  breaks->Close();
  members.hub().Stall(members[0].fabric(), false);
  const PeerDrop told = Introduced(members, "third")->Receive<PeerDrop>().message;
  ASSERT_EQ(told.pages.size(), 1);
  EXPECT_EQ(told.pages[0], TestPage(1));
}

}  // namespace
}  // namespace pinboard::cache_service
