// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/membership/static_membership.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "absl/synchronization/notification.h"
#include "cache_service/membership/member_list.h"

namespace pinboard::cache_service {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class StaticMembershipTest : public ::testing::Test {
 protected:
  std::unique_ptr<Membership> Listed(const std::string& text) {
    return MakeStaticMembership(*ParseMemberList(text), *metrics_);
  }

  const std::unique_ptr<MetricRegistry> metrics_ = NewMetricRegistry();
};

TEST_F(StaticMembershipTest, ListsMembersByNameFromTheStart) {
  const auto membership = Listed("10.0.0.2:1,10.0.0.1:1=3");
  const MembershipViewPtr view = membership->View();
  ASSERT_EQ(view->members.size(), 2U);
  EXPECT_EQ(view->members[0].name, "10.0.0.1:1");
  EXPECT_EQ(view->Find("10.0.0.1:1"), &view->members[0]);
  EXPECT_EQ(view->Find("10.0.0.1"), nullptr);
  EXPECT_EQ(view->Find("10.0.0.3:1"), nullptr);
}

TEST_F(StaticMembershipTest, AMemberThatJoinsMustBeListed) {
  const auto membership = Listed("10.0.0.1:1,10.0.0.2:1=3");
  const absl::Status stranger = membership->Join({.name = "10.0.0.3:1", .address = "10.0.0.3:1"});
  EXPECT_TRUE(absl::IsInvalidArgument(stranger));
  EXPECT_THAT(std::string(stranger.message()), HasSubstr("10.0.0.3:1"));
  ASSERT_EQ(membership->Join({.name = "10.0.0.2:1", .address = "10.0.0.2:1", .incarnation = 9}),
            absl::OkStatus());
  const Member* self = membership->View()->Find("10.0.0.2:1");
  ASSERT_NE(self, nullptr);
  EXPECT_EQ(self->incarnation, 9U);
  EXPECT_EQ(self->weight, 3U) << "what all members read from the list";
}

TEST_F(StaticMembershipTest, WhatChangesIsANewViewAndWakes) {
  const auto membership = Listed("10.0.0.1:1,10.0.0.2:1");
  ASSERT_EQ(membership->Join({.name = "10.0.0.1:1", .incarnation = 5}), absl::OkStatus());
  const MembershipViewPtr before = membership->View();
  int changes = 0;
  membership->OnChange([&changes] { ++changes; });
  membership->Announce(MemberState::kDraining);
  membership->Announce(MemberState::kDraining);
  EXPECT_EQ(changes, 1);
  EXPECT_THAT(metrics_->ExpositionText(),
              AllOf(HasSubstr("pinboard_service_members{state=\"joined\"} 1\n"),
                    HasSubstr("pinboard_service_members{state=\"draining\"} 1\n"),
                    HasSubstr("pinboard_service_membership_changes_total 3\n")));
  EXPECT_EQ(before->members[0].state, MemberState::kJoined) << "a view is never changed";
  EXPECT_EQ(membership->View()->members[0].state, MemberState::kDraining);
  EXPECT_EQ(membership->View()->version, before->version + 1);
  membership->OnChange(nullptr);
  membership->Announce(MemberState::kJoined);
  EXPECT_EQ(changes, 1);
}

class FileMembershipTest : public StaticMembershipTest {
 protected:
  ~FileMembershipTest() override { std::filesystem::remove(path_); }
  void Write(const std::string& text) { std::ofstream(path_) << text; }

  const std::string path_ =
      std::filesystem::temp_directory_path() / ("members." + std::to_string(getpid()));
};

TEST_F(FileMembershipTest, TheFileIsReadAgainWhenItChanges) {
  Write("10.0.0.1:1\n");
  auto membership = MakeFileMembership(path_, *metrics_);
  ASSERT_EQ(membership.status(), absl::OkStatus());
  ASSERT_EQ((*membership)->Join({.name = "10.0.0.1:1", .incarnation = 5}), absl::OkStatus());
  absl::Notification changed;
  (*membership)->OnChange([&changed] { changed.Notify(); });
  Write("10.0.0.1:1\n10.0.0.2:1\n");
  changed.WaitForNotification();
  const MembershipViewPtr view = (*membership)->View();
  ASSERT_EQ(view->members.size(), 2U);
  EXPECT_EQ(view->members[0].incarnation, 5U);
  (*membership)->OnChange(nullptr);
}

TEST_F(FileMembershipTest, AFileThatCannotBeReadIsNamed) {
  EXPECT_TRUE(absl::IsNotFound(MakeFileMembership(path_, *metrics_).status()));
  Write("10.0.0.1:1\nrubbish\n");
  const absl::Status wrong = MakeFileMembership(path_, *metrics_).status();
  EXPECT_TRUE(absl::IsInvalidArgument(wrong));
  EXPECT_THAT(std::string(wrong.message()), HasSubstr(path_ + ": line 2: "));
  EXPECT_TRUE(absl::IsInvalidArgument(MakeFileMembership("/", *metrics_).status()));
}

}  // namespace
}  // namespace pinboard::cache_service
