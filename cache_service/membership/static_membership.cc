// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/membership/static_membership.h"

#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "base/steady_condition.h"
#include "base/text_file.h"
#include "cache_service/membership/current_view.h"
#include "cache_service/membership/member_list.h"

namespace pinboard::cache_service {
namespace {

constexpr absl::Duration kReadInterval = absl::Seconds(1);

class StaticMembership : public Membership {
 public:
  StaticMembership(std::vector<Member> members, MetricRegistry& metrics) : view_(metrics) {
    List(std::move(members));
  }

  MembershipViewPtr View() const override { return view_.Get(); }
  void OnChange(std::function<void()> changed) override { view_.OnChange(std::move(changed)); }

  absl::Status Join(const Member& self) override {
    const absl::MutexLock lock(&mutex_);
    for (const Member& member : listed_) {
      if (member.name != self.name) continue;
      self_ = self;
      Show();
      return absl::OkStatus();
    }
    return absl::InvalidArgumentError(
        absl::StrCat("the members listed do not include this one, ", self.name,
                     ": list it, or say with --advertise which of them it is"));
  }

  void Announce(MemberState state) override {
    const absl::MutexLock lock(&mutex_);
    if (self_) self_->state = state;
    Show();
  }

  absl::Status Leave(absl::Time) override { return absl::OkStatus(); }

  void List(std::vector<Member> members) {
    const absl::MutexLock lock(&mutex_);
    listed_ = std::move(members);
    Show();
  }

 private:
  void Show() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    std::vector<Member> members = listed_;
    for (Member& member : members) {
      if (!self_ || member.name != self_->name) continue;
      member.incarnation = self_->incarnation;
      member.state = self_->state;
    }
    view_.Replace(std::move(members));
  }

  CurrentView view_;
  absl::Mutex mutex_;
  std::vector<Member> listed_ ABSL_GUARDED_BY(mutex_);
  std::optional<Member> self_ ABSL_GUARDED_BY(mutex_);
};

absl::StatusOr<std::vector<Member>> ReadMembers(const std::string& path) {
  PB_ASSIGN_OR_RETURN(const std::string text, ReadTextFile(path));
  auto members = ParseMemberLines(text);
  if (members.ok()) return members;
  return absl::InvalidArgumentError(
      absl::StrCat(path, ": ", std::string(members.status().message())));
}

class FileMembership final : public StaticMembership {
 public:
  FileMembership(std::string path, std::vector<Member> members, MetricRegistry& metrics)
      : StaticMembership(std::move(members), metrics),
        thread_([this, path = std::move(path)] { Reread(path); }) {}
  ~FileMembership() override {
    {
      const absl::MutexLock lock(&end_mutex_);
      ending_ = true;
    }
    ended_.SignalAll();
    thread_.join();
  }

 private:
  void Reread(const std::string& path) {
    absl::Status told;
    while (WaitToRead()) {
      auto members = ReadMembers(path);
      const absl::Status read = members.status();
      if (read.ok()) {
        List(*std::move(members));
      } else if (read != told) {
        LogWarning("members stay as they were: ", std::string(read.message()));
      }
      told = read;
    }
  }

  /// False at the end.
  bool WaitToRead() {
    const absl::Time next = SteadyNow() + kReadInterval;
    const absl::MutexLock lock(&end_mutex_);
    while (!ending_ && ended_.WaitUntil(end_mutex_, next)) {
    }
    return !ending_;
  }

  absl::Mutex end_mutex_;
  bool ending_ ABSL_GUARDED_BY(end_mutex_) = false;
  SteadyCondition ended_;
  std::thread thread_;
};

}  // namespace

std::unique_ptr<Membership> MakeStaticMembership(std::vector<Member> members,
                                                 MetricRegistry& metrics) {
  return std::make_unique<StaticMembership>(std::move(members), metrics);
}

absl::StatusOr<std::unique_ptr<Membership>> MakeFileMembership(const std::string& path,
                                                               MetricRegistry& metrics) {
  PB_ASSIGN_OR_RETURN(std::vector<Member> members, ReadMembers(path));
  return std::make_unique<FileMembership>(path, std::move(members), metrics);
}

}  // namespace pinboard::cache_service
