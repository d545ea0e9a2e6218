// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The latest view, and who is woken when it changes: what all kinds of Membership share.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/metrics.h"
#include "cache_service/membership/member.h"

namespace pinboard::cache_service {

/// Thread-safe.
class CurrentView {
 public:
  /// `metrics` must outlive this.
  explicit CurrentView(MetricRegistry& metrics);

  MembershipViewPtr Get() const;
  /// As Membership::OnChange.
  void OnChange(std::function<void()> changed);
  /// Makes a view of these members, of which each has a name of its own, and wakes; does nothing
  /// and returns false where they are those of the latest view.
  bool Replace(std::vector<Member> members);

 private:
  Gauge& joined_;
  Gauge& draining_;
  Counter& changes_;
  // Held while the callback runs, so that it runs no more once OnChange has replaced it.
  absl::Mutex change_mutex_ ABSL_ACQUIRED_BEFORE(view_mutex_);
  std::function<void()> changed_ ABSL_GUARDED_BY(change_mutex_);
  mutable absl::Mutex view_mutex_;
  MembershipViewPtr view_ ABSL_GUARDED_BY(view_mutex_) = std::make_shared<MembershipView>();
};

}  // namespace pinboard::cache_service
