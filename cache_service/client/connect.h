// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The first step of every client of the service.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "transport/fabric/fabric.h"

namespace pinboard::cache_service {

/// Fabric::Connect, whose Unavailable (nobody listens there) and InvalidArgument (somebody else
/// does) also say what to do.
absl::StatusOr<transport::PeerId> ConnectToService(transport::Fabric& fabric,
                                                   const std::string& address, absl::Time deadline);

/// DeadlineExceeded: a service that was reached and says nothing.
absl::Status DoesNotAnswer(const std::string& address);

}  // namespace pinboard::cache_service
