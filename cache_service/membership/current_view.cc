// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/membership/current_view.h"

#include <algorithm>
#include <utility>

namespace pinboard::cache_service {
namespace {

Gauge& MembersIn(const char* state, MetricRegistry& metrics) {
  return metrics.AddGauge("pinboard_service_members", "Members known, this one included, by state.",
                          {{"state", state}});
}

}  // namespace

const Member* MembershipView::Find(absl::string_view name) const {
  const auto found = std::lower_bound(
      members.begin(), members.end(), name,
      [](const Member& member, absl::string_view key) { return member.name < key; });
  return found != members.end() && found->name == name ? &*found : nullptr;
}

CurrentView::CurrentView(MetricRegistry& metrics)
    : joined_(MembersIn("joined", metrics)),
      draining_(MembersIn("draining", metrics)),
      changes_(metrics.AddCounter("pinboard_service_membership_changes_total",
                                  "Changes of the members known or of what is known of them.")) {}

MembershipViewPtr CurrentView::Get() const {
  const absl::MutexLock lock(&view_mutex_);
  return view_;
}

void CurrentView::OnChange(std::function<void()> changed) {
  const absl::MutexLock lock(&change_mutex_);
  changed_ = std::move(changed);
}

bool CurrentView::Replace(std::vector<Member> members) {
  std::sort(members.begin(), members.end(),
            [](const Member& a, const Member& b) { return a.name < b.name; });
  const auto draining =
      static_cast<double>(std::count_if(members.begin(), members.end(), [](const Member& member) {
        return member.state == MemberState::kDraining;
      }));
  const double joined = static_cast<double>(members.size()) - draining;
  const absl::MutexLock change_lock(&change_mutex_);
  {
    const absl::MutexLock lock(&view_mutex_);
    if (view_->members == members) return false;
    view_ = std::make_shared<MembershipView>(
        MembershipView{.version = view_->version + 1, .members = std::move(members)});
  }
  joined_.Set(joined);
  draining_.Set(draining);
  changes_.Increment();
  if (changed_) changed_();
  return true;
}

}  // namespace pinboard::cache_service
