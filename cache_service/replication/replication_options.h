// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// How pages are copied and moved between members.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

#include "absl/time/time.h"
#include "absl/types/span.h"
#include "cache_service/client/service_health.h"
#include "cache_service/page_store.h"

namespace pinboard::cache_service {

struct ReplicationOptions {
  /// Members that are to have each page, the one it was published on included. 1: no copies.
  int replicas = 1;
  /// Whether a page's bytes are those of its tag: one that is not is not taken from another member.
  /// Empty: every page is.
  std::function<bool(const PageHeader&, absl::Span<const std::byte>)> check;

  /// A fetch waits this long for what other members have: its client hears nothing meanwhile.
  static constexpr absl::Duration kPullTimeout = absl::Milliseconds(150);
  static_assert(kPullTimeout < ServiceHealth::kPatience, "a service that pulls would seem silent");
  absl::Duration pull_timeout = kPullTimeout;
  /// A member that has not answered for so long is left, and connected to again later.
  absl::Duration answer_timeout = absl::Seconds(3);
  /// A member that was away for so long is without copies: others get them.
  absl::Duration gone_after = absl::Seconds(5);
  /// A group's pages stay this long after the last member said that it has clients of it, and after
  /// a member that had some was lost: its clients may be on their way to another one.
  absl::Duration group_grace = absl::Seconds(10);
  absl::Duration orphan_timeout = absl::Seconds(60);
};

}  // namespace pinboard::cache_service
