// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What etcd's gateway answers, a line each: the first a range, the others of a watch; and each as
// every other answer. Whatever they hold, members have names, weights and ports.
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "base/log.h"
#include "cache_service/membership/etcd/gateway_messages.h"
#include "cache_service/membership/etcd/member_record.h"
#include "cache_service/membership/etcd/member_table.h"
#include "tests/fuzz/fuzz_target.h"

namespace {

using namespace pinboard::cache_service;  // NOLINT(google-build-using-namespace): one small file
using pinboard::InitLog;
using pinboard::LogLevel;
using pinboard::fuzz::Require;

void CheckMembers(const etcd::MemberTable& table) {
  for (const auto& [name, member] : table.members()) {
    Require(name == member.name && etcd::CheckMemberName(name).ok(), "a member has a name");
    Require(member.weight >= 1 && member.weight <= kMaxMemberWeight, "a member has a weight");
    const auto again = etcd::ParseMemberRecord(name, etcd::MemberRecord(member));
    Require(again.ok() && *again == member, "a record is read as it was written");
  }
}

void ParseAsAnything(const std::string& line) {
  const auto lease = etcd::ParseGrant(line);
  if (lease.ok()) Require(lease->time_to_live > absl::ZeroDuration(), "a lease has a time to live");
  const auto alive = etcd::ParseKeepAlive(line);
  if (alive.ok()) Require(*alive > absl::ZeroDuration(), "a lease that lives has time left");
  const auto token = etcd::ParseToken(line);
  if (token.ok()) Require(token->find('\n') == std::string::npos, "a token is one line");
  const absl::Status done = etcd::ParseDone(line);
  if (!done.ok()) Require(!done.message().empty(), "a mistake is named");
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  [[maybe_unused]] static const bool quiet = (InitLog("fuzz", LogLevel::kOff), true);
  const std::string text(reinterpret_cast<const char*>(data), size);
  const std::vector<std::string> lines = absl::StrSplit(text, '\n');
  etcd::MemberTable table("/p/");
  if (const auto range = etcd::ParseRange(lines[0]); range.ok()) table.Reset(*range);
  for (const std::string& line : lines) {
    ParseAsAnything(line);
    const auto events = etcd::ParseWatch(line);
    if (!events.ok()) continue;
    for (const etcd::WatchEvent& event : *events) table.Apply(event);
  }
  CheckMembers(table);
  return 0;
}
