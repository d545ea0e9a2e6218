// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Whether UCX may use shared memory between processes of one host.
#pragma once

namespace pinboard::transport {

/// Of the environment's UCX_TLS, which UCX reads too: a list of transports, or of those left out
/// where it begins with ^; null: it is not set. Of shared memory we mean what can be mapped: posix,
/// sysv or xpmem, also by their names in groups (mm, sm, shm, all).
bool AllowsSharedMemory(const char* ucx_tls);

}  // namespace pinboard::transport
