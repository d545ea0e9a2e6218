// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The command line of pinboardd.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "app/pinboardd/membership_options.h"
#include "base/log.h"
#include "cache_service/inventory/eviction_policy.h"
#include "cache_service/inventory/watermarks.h"

namespace pinboard::app {

struct DaemonOptions {
  std::string listen = "127.0.0.1:7700";
  std::uint64_t arena_bytes = std::uint64_t{1} << 30;
  cache_service::EvictionPolicyPtr eviction = cache_service::AgedInformation(absl::Minutes(10));
  cache_service::Watermarks watermarks;
  MembershipOptions membership;
  int replicas = 1;
  absl::Duration drain_deadline = absl::Seconds(10);
  std::string key_file;                    // empty: everybody is let in
  std::string tenant_file;                 // empty: equal shares
  std::string metrics = "127.0.0.1:9400";  // empty: none
  LogLevel log_level = LogLevel::kInfo;
  LogFormat log_format = LogFormat::kText;
  std::string address_file;  // empty: none
  bool exit_with_parent = false;
  bool help = false;
  bool version = false;
};

/// Reads "--name value" and "--name=value". InvalidArgument, in one line, for anything else.
absl::StatusOr<DaemonOptions> ParseDaemonOptions(const std::vector<std::string>& arguments);

/// What --help prints.
std::string DaemonHelp();

}  // namespace pinboard::app
