// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/membership/etcd/member_table.h"

#include "absl/strings/match.h"
#include "base/log.h"
#include "cache_service/membership/etcd/member_record.h"

namespace pinboard::cache_service::etcd {

void MemberTable::Reset(const Range& range) {
  members_.clear();
  for (const KeyValue& pair : range.pairs) Put(pair.key, pair.value);
}

void MemberTable::Apply(const WatchEvent& event) {
  if (!event.deleted) return Put(event.key, event.value);
  if (absl::StartsWith(event.key, prefix_)) members_.erase(event.key.substr(prefix_.size()));
}

void MemberTable::Put(const std::string& key, const std::string& record) {
  if (!absl::StartsWith(key, prefix_)) return;
  const std::string name = key.substr(prefix_.size());
  auto member = ParseMemberRecord(name, record);
  if (member.ok()) {
    members_.insert_or_assign(name, *std::move(member));
    return;
  }
  members_.erase(name);
  LogWarning("etcd's key ", key, " is passed over: ", std::string(member.status().message()));
}

}  // namespace pinboard::cache_service::etcd
