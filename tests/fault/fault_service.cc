// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/fault/fault_service.h"

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "cache_service/client/stats_client.h"
#include "cache_service/remote_page_store.h"
#include "tests/cache_service/child_process.h"
#include "tests/fault/scripted_client.h"
#include "transport/fabric/ucx/ucx_fabric.h"

namespace pinboard::testing {

std::unique_ptr<Process> StartFaultService(const std::string& listen, std::uint64_t arena_bytes,
                                           const std::string& fault,
                                           std::vector<std::string> environment) {
  if (!fault.empty()) environment.push_back("PINBOARD_FAULT=" + fault);
  return std::make_unique<Process>(
      std::vector<std::string>{BuiltProgram("bin/pinboardd"), "--listen", listen, "--arena",
                               std::to_string(arena_bytes), "--eviction", "score", "--watermarks",
                               "95:80", "--metrics", "none", "--log-level", "off",
                               "--exit-with-parent"},
      environment);
}

std::string AddressOf(const Process& service) {
  const std::string line = service.ReadLine();
  const std::string ready = "pinboardd: listening on ";
  return line.starts_with(ready) ? line.substr(ready.size()) : "";
}

absl::StatusOr<std::unique_ptr<cache_service::PageStore>> ConnectFaultStore(
    const std::string& address) {
  return cache_service::ConnectPageStore([] { return transport::MakeUcxFabric(); }, {address},
                                         {.group = kFaultGroup, .name = "fault run"});
}

bool IsEmptyService(const std::string& address, std::string* census) {
  constexpr absl::Duration kPatience = absl::Milliseconds(500);
  auto fabric = transport::MakeUcxFabric();
  if (!fabric.ok()) return false;
  auto client = cache_service::StatsClient::Connect(*std::move(fabric), address, "fault census",
                                                    std::nullopt, SteadyNow() + kPatience);
  if (!client.ok()) return false;
  const auto entries = (*client)->Ask(SteadyNow() + kPatience);
  (*client)->Close(SteadyNow() + kPatience);
  if (!entries.ok()) return false;
  census->clear();
  for (const cache_service::StatsEntry& entry : *entries) {
    const bool of_clients = entry.name == "pinboard_service_clients";
    const bool of_pages = entry.name == "pinboard_service_slabs{state=\"leased\"}" ||
                          entry.name == "pinboard_service_slabs{state=\"quarantined\"}" ||
                          entry.name == "pinboard_service_pins" ||
                          entry.name == "pinboard_service_pages" ||
                          entry.name == "pinboard_service_parked_fetches" ||
                          entry.name == "pinboard_service_arena_used_bytes";
    if ((of_clients && entry.value > 1) || (of_pages && entry.value > 0)) {
      absl::StrAppend(census, entry.name, " ", entry.value, "; ");
    }
  }
  return census->empty();
}

}  // namespace pinboard::testing
