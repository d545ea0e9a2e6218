// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/fault/fault_service.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/clock.h"
#include "cache_service/client/stats_client.h"
#include "cache_service/remote_page_store.h"
#include "tests/cache_service/child_process.h"
#include "tests/fault/scripted_client.h"
#include "transport/fabric/ucx/ucx_fabric.h"

namespace pinboard::testing {

std::unique_ptr<Process> StartFaultService(const std::string& listen, std::uint64_t arena_bytes,
                                           const std::string& fault,
                                           std::vector<std::string> environment,
                                           const std::vector<std::string>& more,
                                           const std::string& errors) {
  if (!fault.empty()) environment.push_back("PINBOARD_FAULT=" + fault);
  std::vector<std::string> command = {BuiltProgram("bin/pinboardd"),
                                      "--listen",
                                      listen,
                                      "--arena",
                                      std::to_string(arena_bytes),
                                      "--eviction",
                                      "score",
                                      "--watermarks",
                                      "95:80",
                                      "--metrics",
                                      "none",
                                      "--log-level",
                                      errors.empty() ? "off" : "error",
                                      "--exit-with-parent"};
  command.insert(command.end(), more.begin(), more.end());
  return std::make_unique<Process>(command, environment, errors);
}

std::string AddressOf(const Process& service) {
  const std::string line = service.ReadLine();
  const std::string ready = "pinboardd: listening on ";
  return line.starts_with(ready) ? line.substr(ready.size()) : "";
}

absl::StatusOr<std::unique_ptr<cache_service::PageStore>> ConnectFaultStore(
    const std::vector<std::string>& addresses, const FaultKey& key) {
  cache_service::PageStoreOptions options;
  options.group = kFaultGroup;
  options.name = "fault run";
  options.credentials = key;
  return cache_service::ConnectPageStore([] { return transport::MakeUcxFabric(); }, addresses,
                                         options);
}

std::optional<std::map<std::string, std::uint64_t>> AskCounts(const std::string& address,
                                                              const FaultKey& key) {
  constexpr absl::Duration kPatience = absl::Milliseconds(500);
  auto fabric = transport::MakeUcxFabric();
  if (!fabric.ok()) return std::nullopt;
  auto client = cache_service::StatsClient::Connect(*std::move(fabric), address, "fault census",
                                                    key, SteadyNow() + kPatience);
  if (!client.ok()) return std::nullopt;
  const auto entries = (*client)->Ask(SteadyNow() + kPatience);
  (*client)->Close(SteadyNow() + kPatience);
  if (!entries.ok()) return std::nullopt;
  std::map<std::string, std::uint64_t> counts;
  for (const cache_service::StatsEntry& entry : *entries) {
    counts[std::string(absl::StripPrefix(entry.name, "pinboard_service_"))] = entry.value;
  }
  return counts;
}

bool IsEmptyService(const std::string& address, std::string* census, const FaultKey& key) {
  const auto counts = AskCounts(address, key);
  if (!counts.has_value()) return false;
  census->clear();
  const auto expect = [&](const std::string& name, std::uint64_t most) {
    const auto count = counts->find(name);
    const std::uint64_t value = count != counts->end() ? count->second : 0;
    if (value > most) absl::StrAppend(census, name, " ", value, "; ");
  };
  expect("clients", 1);
  expect("lost_clients", 0);
  for (const char* name : {"slabs{state=\"leased\"}", "slabs{state=\"quarantined\"}", "pins",
                           "pages", "parked_fetches", "arena_used_bytes"}) {
    expect(name, 0);
  }
  return census->empty();
}

std::string FindMistakes(const std::string& address, bool damaged) {
  const auto counts = AskCounts(address);
  if (!counts.has_value()) return "";
  std::string mistakes;
  for (const char* name :
       {"refused_connections_total", "peer_protocol_errors_total",
        "copies_total{outcome=\"corrupt\"}", "hand_overs_total{outcome=\"corrupt\"}",
        "spills_total{outcome=\"corrupt\"}", "pulls_total{outcome=\"corrupt\"}"}) {
    const auto count = counts->find(name);
    if (count == counts->end()) {
      absl::StrAppend(&mistakes, "no ", name, "; ");
    } else if (count->second != 0 && !(damaged && absl::StrContains(name, "corrupt"))) {
      absl::StrAppend(&mistakes, name, " ", count->second, "; ");
    }
  }
  return mistakes;
}

}  // namespace pinboard::testing
