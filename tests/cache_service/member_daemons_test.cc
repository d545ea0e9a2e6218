// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Three pinboardds that know of each other: what one loses, another still has.
#include "tests/cache_service/member_daemons.h"

#include <gtest/gtest.h>

#include "tests/cache_service/keyed_service.h"
#include "tests/cache_service/scratch_file.h"

namespace pinboard::cache_service {
namespace {

constexpr int kPages = 200;

std::vector<PageRef> Pages(int count, std::uint64_t sequence = 7) {
  std::vector<PageRef> pages;
  for (int i = 0; i < count; ++i) pages.push_back(TestPage(i, 1, sequence));
  return pages;
}

void PublishAll(PageStore& store, const std::vector<PageRef>& pages) {
  for (const PageRef& page : pages) ASSERT_EQ(PublishTagged(store, page), absl::OkStatus());
}

TEST(MemberDaemonsTest, WithTwoReplicasEachPageOutlivesTheMemberThatItWasPublishedOn) {
  MemberDaemons members(3, {"--arena", "16MiB", "--replicas", "2"});
  const std::vector<PageRef> pages = Pages(kPages);
  const auto first = members.Connect(0);
  PublishAll(*first, pages);
  members.Await(0, "copies_total{outcome=\"taken\"}", kPages);
  EXPECT_EQ(members.Count(0, "copies_waiting"), 0);
  EXPECT_EQ(members.Count(1, "pages") + members.Count(2, "pages"), kPages);
  members.Kill(0);
  const auto second = members.Connect(1);
  EXPECT_EQ(CountReadable(*second, pages), kPages);
  EXPECT_EQ(members.Count(1, "pages"), kPages) << "what the third had was pulled";
}

TEST(MemberDaemonsTest, APageIsFetchedFromAnyMemberInTheGenerationThatWasAskedFor) {
  const MemberDaemons members(3, {"--arena", "16MiB"});
  const auto here = members.Connect(0);
  const auto there = members.Connect(2);
  PublishAll(*here, Pages(kPages));
  ASSERT_EQ(PublishTagged(*here, TestPage(kPages, 2)), absl::OkStatus());
  EXPECT_EQ(CountReadable(*here, {TestPage(kPages, 2)}), 1);
  members.Await(1, "pages", 0);
  EXPECT_EQ(CountReadable(*there, Pages(kPages)), kPages);
  EXPECT_EQ(CountReadable(*there, {TestPage(kPages, 1), TestPage(kPages, 3)}), 0);
  EXPECT_EQ(CountReadable(*there, {TestPage(kPages, 2)}), 1);
  EXPECT_EQ(members.Count(2, "pulls_total{outcome=\"hit\"}"), kPages + 1);
  EXPECT_EQ(members.Count(2, "pages"), kPages + 1);
  EXPECT_EQ(members.Count(0, "pins"), 0) << "a page that was read is not held";
  EXPECT_EQ(CountReadable(*members.Connect(2, 5), Pages(kPages)), 0) << "of another group";
}

TEST(MemberDaemonsTest, APageWhoseBytesDoNotMatchItsTagIsNotSpread) {
  const MemberDaemons members(3, {"--arena", "16MiB", "--replicas", "3"});
  const auto store = members.Connect(0);
  auto leases = *store->Lease(1, kTestPageBytes, Soon());
  FillTestPage(TestPage(1), leases[0].memory());
  PageHeader header = TaggedHeader(TestPage(1));
  header.tag ^= 1;
  store->Publish(std::move(leases), {header});
  ASSERT_EQ(PublishTagged(*store, TestPage(2)), absl::OkStatus());
  members.Await(0, "copies_total{outcome=\"taken\"}", 2);
  EXPECT_EQ(members.Count(0, "copies_total{outcome=\"corrupt\"}"), 2);
  const auto there = members.Connect(1);
  EXPECT_EQ(CountReadable(*there, {TestPage(1), TestPage(2)}), 1);
  EXPECT_EQ(members.Count(1, "pulls_total{outcome=\"corrupt\"}"), 1);
  EXPECT_EQ(members.Count(1, "pages"), 1);
  EXPECT_EQ(members.Count(1, "slabs{state=\"leased\"}"), 0);
  EXPECT_EQ(CountReadable(*store, {TestPage(1)}), 1) << "who has it may look for itself";
}

TEST(MemberDaemonsTest, WhatIsDroppedOnOneMemberIsDroppedOnAll) {
  const MemberDaemons members(3, {"--arena", "16MiB", "--replicas", "3"});
  const auto store = members.Connect(0);
  PublishAll(*store, Pages(10));
  PublishAll(*store, Pages(10, 8));
  members.Await(0, "copies_total{outcome=\"taken\"}", 40);
  store->Drop(Pages(5));
  store->DropSequence(8);
  for (int member = 0; member < 3; ++member) members.Await(member, "pages", 5);
  EXPECT_EQ(CountReadable(*members.Connect(1), Pages(10)), 5);
}

TEST(MemberDaemonsTest, AMemberThatDiesIsDoneWithoutAndOneThatIsStartedAgainKnowsNothing) {
  MemberDaemons members(3, {"--arena", "16MiB", "--replicas", "2"});
  const auto store = members.Connect(0);
  PublishAll(*store, Pages(kPages));
  members.Await(0, "copies_waiting", 0);
  members.Kill(2);
  members.Await(0, "peers{state=\"up\"}", 1);
  EXPECT_EQ(CountReadable(*store, Pages(kPages)), kPages);
  EXPECT_EQ(CountReadable(*members.Connect(1), Pages(kPages)), kPages) << "the first has all";
  members.Start(2);
  members.Await(2, "peers{state=\"up\"}", 2);
  EXPECT_EQ(CountReadable(*members.Connect(2), Pages(kPages)), kPages) << "from the first, anew";
}

TEST(MemberDaemonsTest, WhatAFullMemberLosesIsFetchedFromThoseThatHaveRoom) {
  const MemberDaemons members(3, {"--arena", "2MiB", "--watermarks", "90:50"});
  const auto store = members.Connect(0);
  const std::vector<PageRef> pages = Pages(500);  // 512 fit, 256 stay
  for (std::size_t page = 0; page < pages.size(); ++page) {
    const auto information = static_cast<std::int32_t>(page);
    ASSERT_EQ(PublishTagged(*store, pages[page], information), absl::OkStatus());
    if (page % 50 == 49) members.Await(0, "pins", 0);
  }
  const std::uint64_t here = members.Count(0, "pages");
  EXPECT_LT(here, 400);
  EXPECT_GT(CountReadable(*store, pages), 450);
  EXPECT_GT(members.Count(0, "pulls_total{outcome=\"hit\"}"), 450 - here);
  EXPECT_EQ(members.Count(1, "evictions_total{cause=\"watermark\"}"), 0);
}

TEST(MemberDaemonsTest, WithTwoReplicasNoPageIsLostWithASecondMember) {
  MemberDaemons members(3, {"--arena", "16MiB", "--replicas", "2"});
  const auto first = members.Connect(0);
  PublishAll(*first, Pages(kPages));
  members.Await(0, "pages", kPages);
  members.Await(0, "under_replicated_pages", 0);
  members.Kill(0);
  for (const int left : {1, 2}) {
    members.Await(left, "peers{state=\"up\"}", 1);
    members.Await(left, "under_replicated_pages", 0);
  }
  members.Kill(1);
  EXPECT_EQ(members.Count(2, "pages"), kPages);
  EXPECT_EQ(CountReadable(*members.Connect(2), Pages(kPages)), kPages);
}

TEST(MemberDaemonsTest, AMemberThatIsStartedAgainGetsItsCopiesAnew) {
  MemberDaemons members(3, {"--arena", "16MiB", "--replicas", "3"});
  const auto store = members.Connect(0);
  PublishAll(*store, Pages(kPages));
  members.Await(0, "pages", kPages);
  members.Await(0, "under_replicated_pages", 0);
  members.Kill(2);
  members.Start(2);
  members.Await(2, "pages", kPages);
  members.Await(0, "under_replicated_pages", 0);
  members.Await(1, "under_replicated_pages", 0);
}

TEST(MemberDaemonsTest, AStoppedMemberHoldsUpNobody) {
  MemberDaemons members(3, {"--arena", "16MiB", "--replicas", "3"});
  const auto store = members.Connect(0);
  PublishAll(*store, Pages(1));
  members.Await(0, "copies_waiting", 0);
  members.process(2).Signal(SIGSTOP);
  PublishAll(*store, Pages(kPages));
  EXPECT_EQ(CountReadable(*store, Pages(kPages)), kPages);
  EXPECT_EQ(CountReadable(*store, {TestPage(kPages + 1)}), 0) << "nobody has it";
  members.Await(1, "pages", kPages);
  members.process(2).Signal(SIGCONT);
  members.Await(0, "copies_waiting", 0);
  members.Await(2, "pages", kPages);
}

TEST(MemberDaemonsTest, ATenantsPagesAreNothingToAnother) {
  ScratchFile keys(kTwoTenants);
  const MemberDaemons members(2, {"--arena", "16MiB", "--replicas", "2", "--keys", keys.path()},
                              Alpha());
  const auto store = members.Connect(0);
  PublishAll(*store, Pages(20));
  members.Await(0, "copies_total{outcome=\"taken\"}", 20);
  EXPECT_EQ(CountReadable(*members.Connect(1), Pages(20)), 20);
  EXPECT_EQ(members.Count(1, "pulls_total{outcome=\"hit\"}"), 0) << "they were there";
  EXPECT_EQ(CountReadable(*members.ConnectAs(1, Beta()), Pages(20)), 0);
  EXPECT_EQ(CountReadable(*members.ConnectAs(0, Beta()), Pages(20)), 0);
}

}  // namespace
}  // namespace pinboard::cache_service
