// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What pinboardd is told of the members of its cluster.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/metrics.h"
#include "cache_service/membership/etcd_membership.h"
#include "cache_service/membership/membership.h"

namespace pinboard::app {

/// At most one of `members`, `members_file` and etcd.endpoints is there; none: it serves alone.
struct MembershipOptions {
  std::vector<cache_service::Member> members;
  std::string members_file;
  cache_service::EtcdOptions etcd;
  std::string advertise;  // HOST:PORT; empty: where it listens
  std::string name;       // empty: the address advertised
  std::optional<std::uint32_t> weight;

  // Which of etcd's options were given, besides the endpoints.
  std::optional<std::string> cluster;
  std::optional<std::string> prefix;
  bool has_etcd_option = false;
};

using MembershipSetter = absl::Status (*)(MembershipOptions&, const std::string& value);

/// By the options' names.
const std::map<std::string, MembershipSetter>& MembershipSetters();

/// Once all options are set: whether they go together; makes the prefix of the keys.
/// InvalidArgument, in one line, where they do not.
absl::Status FinishMembershipOptions(MembershipOptions& options);

/// Whether it is one of several.
bool HasMembers(const MembershipOptions& options);

/// The part of --help.
const char* MembershipHelp();

/// Null where the service is to serve alone. `metrics` must outlive it. Errors name the option.
absl::StatusOr<std::unique_ptr<cache_service::Membership>> MakeMembership(
    const MembershipOptions& options, MetricRegistry& metrics);

/// What a service that listens on `listening` tells the others of itself. InvalidArgument: that is
/// no address at which they could reach it, and none is advertised.
absl::StatusOr<cache_service::Member> DescribeSelf(const MembershipOptions& options,
                                                   const std::string& listening,
                                                   std::uint64_t incarnation);

}  // namespace pinboard::app
