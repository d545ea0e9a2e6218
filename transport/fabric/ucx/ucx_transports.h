// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What UCX has chosen for an endpoint.
#pragma once

#include <ucp/api/ucp.h>

#include "absl/strings/string_view.h"

namespace pinboard::transport {

/// Whether a transport of the endpoint reads and writes the peer's memory without the peer's
/// processor (InfiniBand's and RoCE's reliable ones). Where none does, UCX does so in software, and
/// aborts the process that is asked where the asker dies.
bool ReachesMemory(ucp_ep_h endpoint);

/// The same, of what ucp_ep_print_info prints: UCX before 1.14 says it in no other way.
bool NamesReliableRdma(absl::string_view endpoint_info);

}  // namespace pinboard::transport
