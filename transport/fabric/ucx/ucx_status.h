// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// UCX's errors as ours, in one place.
#pragma once

#include <ucs/type/status.h>

#include <string>

#include "absl/status/status.h"

namespace pinboard::transport {

/// `what` says which operation failed and on whom ("send to peer 3"). UCS_OK gives OkStatus.
absl::Status UcxStatus(ucs_status_t status, const std::string& what);

}  // namespace pinboard::transport
