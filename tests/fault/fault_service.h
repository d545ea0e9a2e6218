// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The pinboardd of fault tests: how it is started, connected to and counted.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cache_service/access/key_ring.h"
#include "cache_service/page_store.h"
#include "tests/fault/process.h"

namespace pinboard::testing {

/// Evicts by information, in the background too; `fault` is its PINBOARD_FAULT, empty for none;
/// `more` are further arguments. What it logs of errors is added to the file `errors`, if given.
std::unique_ptr<Process> StartFaultService(const std::string& listen, std::uint64_t arena_bytes,
                                           const std::string& fault,
                                           std::vector<std::string> environment,
                                           const std::vector<std::string>& more = {},
                                           const std::string& errors = "");
/// What it prints once ready; empty where it ends instead.
std::string AddressOf(const Process& service);

/// What is shown a service that has keys.
using FaultKey = std::optional<cache_service::Credentials>;

absl::StatusOr<std::unique_ptr<cache_service::PageStore>> ConnectFaultStore(
    const std::vector<std::string>& addresses, const FaultKey& key = std::nullopt);

/// Its counts by name, without the prefix, or those of the key's tenant; none where it does not
/// answer within half a second.
std::optional<std::map<std::string, std::uint64_t>> AskCounts(const std::string& address,
                                                              const FaultKey& key = std::nullopt);

/// Whether the service, or the key's tenant, has nothing leased, quarantined, pinned or kept, and
/// no client but the one that asks. `census` says what there is.
bool IsEmptyService(const std::string& address, std::string* census,
                    const FaultKey& key = std::nullopt);

/// What the service has counted that no fault of a process or a network explains: clients and
/// members that broke the protocol, pages whose bytes had changed on their way. Empty: nothing, or
/// it does not answer. `damaged`: memory was, so such pages may have been found.
std::string FindMistakes(const std::string& address, bool damaged = false);

}  // namespace pinboard::testing
