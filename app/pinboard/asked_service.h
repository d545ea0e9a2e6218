// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The pinboardd that a command asks something: --service and --service-key.
#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cache_service/client/stats_client.h"

namespace pinboard::app {

/// How long an answer, and the end of a connection, is waited for.
inline constexpr absl::Duration kServiceAnswer = absl::Seconds(5);
inline constexpr absl::Duration kServiceGoodbye = absl::Milliseconds(200);

/// InvalidArgument: one line on the flag that cannot work.
absl::Status CheckAskedService(const std::string& service, const std::string& key_file);

/// As `name`. StatsClient::Connect's errors, of the cache service.
absl::StatusOr<std::unique_ptr<cache_service::StatsClient>> ConnectToAskedService(
    const std::string& service, const std::string& key_file, const std::string& name);

}  // namespace pinboard::app
