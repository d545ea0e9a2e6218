// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The members as etcd's keys tell of them.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "cache_service/membership/etcd/gateway_messages.h"
#include "cache_service/membership/member.h"

namespace pinboard::cache_service::etcd {

/// Thread-compatible. A record that cannot be read is logged and counts as none: whoever wrote it
/// is of another version, or no member.
class MemberTable {
 public:
  explicit MemberTable(std::string prefix) : prefix_(std::move(prefix)) {}

  void Reset(const Range& range);
  void Apply(const WatchEvent& event);
  const std::map<std::string, Member>& members() const { return members_; }  // by name

 private:
  void Put(const std::string& key, const std::string& record);

  const std::string prefix_;
  std::map<std::string, Member> members_;
};

}  // namespace pinboard::cache_service::etcd
