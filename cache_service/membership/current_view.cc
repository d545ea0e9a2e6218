// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/membership/current_view.h"

#include <algorithm>
#include <utility>

namespace pinboard::cache_service {

const Member* MembershipView::Find(absl::string_view name) const {
  const auto found = std::lower_bound(
      members.begin(), members.end(), name,
      [](const Member& member, absl::string_view key) { return member.name < key; });
  return found != members.end() && found->name == name ? &*found : nullptr;
}

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
  const absl::MutexLock change_lock(&change_mutex_);
  {
    const absl::MutexLock lock(&view_mutex_);
    if (view_->members == members) return false;
    view_ = std::make_shared<MembershipView>(
        MembershipView{.version = view_->version + 1, .members = std::move(members)});
  }
  if (changed_) changed_();
  return true;
}

}  // namespace pinboard::cache_service
