// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Members that find each other through a real etcd.
#include "cache_service/membership/etcd_membership.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/escaping.h"
#include "tests/cache_service/etcd_server.h"
#include "tests/support/listening_socket.h"

namespace pinboard::cache_service {
namespace {

constexpr char kRenewals[] = "pinboard_service_etcd_lease_renewals_total";
constexpr char kLosses[] = "pinboard_service_etcd_lease_losses_total";
constexpr char kPrefix[] = "/pinboard/default/members/";

Member Described(const std::string& name) {
  return {.name = name, .address = "10.0.0.1:7700", .weight = 3, .incarnation = 0xc0ffee};
}

class EtcdMembershipTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!HaveEtcd()) GTEST_SKIP() << "no etcd here: apt-get install etcd-server";
    etcd_.emplace();
  }
  EtcdOptions Options(absl::Duration time_to_live = absl::Seconds(2)) const {
    return {.endpoints = {etcd_->endpoint()}, .time_to_live = time_to_live};
  }
  ChildProcess Daemon(const std::string& name, const std::string& time_to_live) const {
    ChildProcess daemon({BuiltProgram("bin/pinboardd"), "--listen", "127.0.0.1:0", "--arena",
                         "1MiB", "--metrics", "none", "--log-level", "error", "--exit-with-parent",
                         "--etcd", etcd_->endpoint(), "--etcd-ttl", time_to_live, "--member-name",
                         name, "--weight", "7"});
    EXPECT_THAT(daemon.ReadLine(), ::testing::StartsWith("pinboardd: listening on "));
    return daemon;
  }

  std::optional<EtcdServer> etcd_;
};

TEST_F(EtcdMembershipTest, MembersSeeEachOtherJoinDrainAndLeave) {
  WatchedMembership a(Options(absl::Hours(1)));
  WatchedMembership b(Options(absl::Hours(1)));
  ASSERT_EQ(a->Join(Described("a")), absl::OkStatus());
  EXPECT_EQ(a->View()->members, std::vector<Member>{Described("a")}) << "at once";
  ASSERT_EQ(b->Join(Described("b")), absl::OkStatus());
  ASSERT_TRUE(a.SeesNames({"a", "b"}));
  ASSERT_TRUE(b.SeesNames({"a", "b"}));
  EXPECT_EQ(*b->View()->Find("a"), Described("a"));

  a->Announce(MemberState::kDraining);
  ASSERT_TRUE(b.Sees(
      [](const MembershipView& view) { return view.Find("a")->state == MemberState::kDraining; }));
  EXPECT_EQ(a->Leave(SteadyNow() + kPatience), absl::OkStatus());
  ASSERT_TRUE(b.SeesNames({"b"})) << "the lease of an hour was revoked";
  EXPECT_TRUE(a.SeesNames({"b"}));
}

TEST_F(EtcdMembershipTest, AMemberThatIsKilledIsForgottenAndOneThatEndsIsAtOnce) {
  WatchedMembership watcher(Options());
  ASSERT_EQ(watcher->Join(Described("w")), absl::OkStatus());
  ChildProcess killed = Daemon("killed", "2s");
  ChildProcess ended = Daemon("ended", "1h");
  ASSERT_TRUE(watcher.SeesNames({"ended", "killed", "w"}));
  EXPECT_EQ(watcher->View()->Find("killed")->weight, 7U);
  EXPECT_THAT(watcher->View()->Find("killed")->address, ::testing::StartsWith("127.0.0.1:"));
  ended.Signal(SIGTERM);
  ASSERT_TRUE(watcher.SeesNames({"killed", "w"}));
  EXPECT_EQ(ended.Wait(), 0);
  killed.Signal(SIGKILL);
  ASSERT_TRUE(watcher.SeesNames({"w"}));
  EXPECT_GT(watcher.Metric(kRenewals), 0) << "or it would have been forgotten, too";
}

TEST_F(EtcdMembershipTest, AMemberThatStartsAgainHasAnotherIncarnation) {
  WatchedMembership watcher(Options());
  std::optional<ChildProcess> daemon(Daemon("d", "1h"));
  ASSERT_TRUE(watcher.SeesNames({"d"}));
  const std::uint64_t first = watcher->View()->Find("d")->incarnation;
  daemon->Signal(SIGKILL);
  daemon->Wait();
  daemon.reset();
  daemon.emplace(Daemon("d", "1h"));
  ASSERT_TRUE(watcher.Sees([first](const MembershipView& view) {
    const Member* member = view.Find("d");
    return member != nullptr && member->incarnation != first;
  }));
}

TEST_F(EtcdMembershipTest, WhileEtcdIsAwayTheLastKnownMembersStayAndItIsFoundAgain) {
  WatchedMembership a(Options());
  WatchedMembership b(Options());
  ASSERT_EQ(a->Join(Described("a")), absl::OkStatus());
  ASSERT_EQ(b->Join(Described("b")), absl::OkStatus());
  ASSERT_TRUE(a.SeesNames({"a", "b"}));
  ASSERT_TRUE(a.IsConnected(true));
  etcd_->Stop();
  ASSERT_TRUE(a.IsConnected(false));
  b->Announce(MemberState::kDraining);  // said while nobody can hear it
  EXPECT_TRUE(a.SeesNames({"a", "b"}));
  etcd_->Start();
  ASSERT_TRUE(a.IsConnected(true));
  ASSERT_TRUE(a.Sees([](const MembershipView& view) {
    const Member* member = view.Find("b");
    return member != nullptr && member->state == MemberState::kDraining;
  }));
}

TEST_F(EtcdMembershipTest, MembersPutThemselvesAgainIntoAnEtcdThatLostItsData) {
  WatchedMembership a(Options());
  WatchedMembership b(Options());
  ASSERT_EQ(a->Join(Described("a")), absl::OkStatus());
  ASSERT_EQ(b->Join(Described("b")), absl::OkStatus());
  ASSERT_TRUE(a.SeesNames({"a", "b"}));
  ASSERT_TRUE(a.IsConnected(true));
  etcd_->Stop();
  etcd_->DeleteData();
  etcd_->Start();
  WatchedMembership newcomer(Options());
  ASSERT_TRUE(newcomer.SeesNames({"a", "b"}));
  EXPECT_EQ(*newcomer->View()->Find("a"), Described("a")) << "the same incarnation";
  EXPECT_EQ(a.Metric(kLosses), 1);
}

TEST_F(EtcdMembershipTest, AKeyThatSomebodyDeletesIsPutAgain) {
  WatchedMembership a(Options());
  WatchedMembership b(Options());
  ASSERT_EQ(a->Join(Described("a")), absl::OkStatus());
  ASSERT_TRUE(b.SeesNames({"a"}));
  ASSERT_TRUE(a.IsConnected(true));
  const std::uint64_t version = b->View()->version;
  etcd_->Ask("/v3/kv/deleterange",
             "{\"key\":\"" + absl::Base64Escape(kPrefix + std::string("a")) + "\"}");
  ASSERT_TRUE(b.Sees([version](const MembershipView& view) {
    return view.version >= version + 2 && view.Find("a") != nullptr;
  }));
}

TEST_F(EtcdMembershipTest, WhatIsNoMemberIsPassedOver) {
  WatchedMembership watcher(Options());
  ASSERT_TRUE(watcher.IsConnected(true));
  const auto put = [this](const std::string& key, const std::string& value) {
    etcd_->Ask("/v3/kv/put", "{\"key\":\"" + absl::Base64Escape(key) + "\",\"value\":\"" +
                                 absl::Base64Escape(value) + "\"}");
  };
  const std::string good =
      R"({"address":"10.0.0.1:7700","weight":1,"incarnation":"c","state":"joined","later":1})";
  put(std::string(kPrefix) + "no", "rubbish");
  put(std::string(kPrefix) + "a/b", good);
  put("/pinboard/default/other", good);
  put("/pinboard/default/memberz", good);
  put(std::string(kPrefix) + "yes", good);
  ASSERT_TRUE(watcher.SeesNames({"yes"}));
  put(std::string(kPrefix) + "yes", "rubbish");
  ASSERT_TRUE(watcher.SeesNames({}));
}

TEST_F(EtcdMembershipTest, ChangesAreSeenAfterACompaction) {
  WatchedMembership watcher(Options());
  WatchedMembership a(Options());
  ASSERT_TRUE(watcher.IsConnected(true));
  ASSERT_EQ(a->Join(Described("a")), absl::OkStatus());
  ASSERT_TRUE(watcher.SeesNames({"a"}));
  etcd_->Ask("/v3/kv/compaction", R"({"revision":"2","physical":true})");
  a->Announce(MemberState::kDraining);
  ASSERT_TRUE(watcher.Sees(
      [](const MembershipView& view) { return view.Find("a")->state == MemberState::kDraining; }));
}

TEST_F(EtcdMembershipTest, AnyOfSeveralEndpointsIsEnough) {
  const ListeningSocket silent;
  EtcdOptions options = Options();
  options.endpoints = {"http://127.0.0.1:" + std::to_string(silent.port()),
                       "http://" + FreeLoopbackAddress(), etcd_->endpoint()};
  WatchedMembership a(options);
  WatchedMembership watcher(Options());
  ASSERT_EQ(a->Join(Described("a")), absl::OkStatus());
  EXPECT_TRUE(watcher.SeesNames({"a"}));
}

TEST_F(EtcdMembershipTest, AnEtcdThatIsStoppedHoldsNobodyUp) {
  WatchedMembership a(Options());
  ASSERT_EQ(a->Join(Described("a")), absl::OkStatus());
  ASSERT_TRUE(a.IsConnected(true));
  etcd_->process().Signal(SIGSTOP);
  ASSERT_TRUE(a.IsConnected(false)) << "a renewal has no answer";
  const absl::Status left = a->Leave(SteadyNow() + absl::Milliseconds(100));
  EXPECT_TRUE(absl::IsDeadlineExceeded(left)) << left;
  EXPECT_TRUE(a.SeesNames({"a"}));
  etcd_->process().Signal(SIGCONT);
}

// A call to etcd may wait for a third of the ten seconds.
TEST_F(EtcdMembershipTest, AnEtcdThatIsStoppedDoesNotHoldUpADaemonsEnd) {
  ChildProcess daemon = Daemon("d", "10s");
  WatchedMembership watcher(Options());
  ASSERT_TRUE(watcher.SeesNames({"d"}));
  etcd_->process().Signal(SIGSTOP);
  const absl::Time start = SteadyNow();
  daemon.Signal(SIGTERM);
  EXPECT_EQ(daemon.Wait(), 0);
  EXPECT_LT(SteadyNow() - start, absl::Seconds(2));
  etcd_->process().Signal(SIGCONT);
}

}  // namespace
}  // namespace pinboard::cache_service
