// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// UCX writes its messages to standard output, where our programs' results go.
#pragma once

namespace pinboard::transport {

/// From here on they are lines of base/log.h: of level debug but for fatal ones, or of UCX's own
/// levels where UCX_LOG_LEVEL is set. Idempotent, thread-safe.
void RouteUcxMessages();

}  // namespace pinboard::transport
