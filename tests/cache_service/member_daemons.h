// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Several real pinboardds that are members of one cluster, on loopback.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "base/clock.h"
#include "cache_service/client/stats_client.h"
#include "cache_service/remote_page_store.h"
#include "kernels/page_transfer/page_transfer.h"
#include "tests/cache_service/child_process.h"
#include "tests/cache_service/test_pages.h"
#include "tests/support/free_port.h"
#include "transport/fabric/ucx/ucx_fabric.h"

namespace pinboard::cache_service {

/// A header whose tag is that of the test's bytes, as members check it.
inline PageHeader TaggedHeader(const PageRef& page, std::int32_t mean_information = 0,
                               std::size_t bytes = kTestPageBytes) {
  PageHeader header = TestHeader(page, mean_information, bytes);
  std::vector<std::byte> memory(bytes);
  FillTestPage(page, absl::MakeSpan(memory));
  header.tag = kernels::PageTag(memory, {page.key, page.generation});
  return header;
}

/// Leases, fills and publishes one page that other members may take.
inline absl::Status PublishTagged(PageStore& store, const PageRef& page,
                                  std::int32_t mean_information = 0,
                                  std::size_t bytes = kTestPageBytes) {
  absl::StatusOr<std::vector<PageLease>> leases = store.Lease(1, bytes, Soon());
  if (!leases.ok()) return leases.status();
  FillTestPage(page, leases->front().memory());
  store.Publish(*std::move(leases), {TaggedHeader(page, mean_information, bytes)});
  return absl::OkStatus();
}

/// How many of these pages are there, each with its own bytes: others must be misses.
inline int CountReadable(PageStore& store, const std::vector<PageRef>& pages) {
  store.Fetch(pages, Soon());
  int readable = 0;
  for (const FetchResult& result : CollectFetched(store)) {
    if (!result.pin.ok()) continue;
    EXPECT_TRUE(HasTestBytes(result.page, result.pin->bytes()));
    ++readable;
  }
  return readable;
}

class MemberDaemons {
 public:
  /// Each is started with `arguments` besides; so is one that is started again.
  MemberDaemons(int count, std::vector<std::string> arguments,
                std::optional<Credentials> credentials = std::nullopt)
      : arguments_(std::move(arguments)), credentials_(std::move(credentials)) {
    const std::string first = FreeLoopbackRange(count);
    const std::size_t colon = first.rfind(':');
    for (int i = 0; i < count; ++i) {
      addresses_.push_back(
          absl::StrCat(first.substr(0, colon + 1), std::stoi(first.substr(colon + 1)) + i));
    }
    processes_.resize(count);
    for (int i = 0; i < count; ++i) Start(i);
    for (int i = 0; i < count; ++i) Await(i, "peers{state=\"up\"}", count - 1);
  }

  /// Returns once it serves.
  void Start(int member, const std::vector<std::string>& more = {}) {
    std::vector<std::string> command = {BuiltProgram("bin/pinboardd"),
                                        "--listen",
                                        addresses_[member],
                                        "--members",
                                        absl::StrJoin(addresses_, ","),
                                        "--eviction",
                                        "score",
                                        "--metrics",
                                        "none",
                                        "--log-level",
                                        "error",
                                        "--exit-with-parent"};
    command.insert(command.end(), arguments_.begin(), arguments_.end());
    command.insert(command.end(), more.begin(), more.end());
    processes_[member] = std::make_unique<ChildProcess>(command);
    EXPECT_EQ(processes_[member]->ReadLine(), "pinboardd: listening on " + addresses_[member]);
  }
  void Kill(int member) { processes_[member].reset(); }
  ChildProcess& process(int member) { return *processes_[member]; }
  const std::string& address(int member) const { return addresses_[member]; }

  std::unique_ptr<PageStore> Connect(int member, std::uint64_t group = 1) const {
    return ConnectAs(member, credentials_, group);
  }
  std::unique_ptr<PageStore> ConnectAs(int member, const std::optional<Credentials>& credentials,
                                       std::uint64_t group = 1) const {
    auto store = ConnectPageStore([] { return transport::MakeUcxFabric(); }, {addresses_[member]},
                                  {.group = group, .name = "test", .credentials = credentials});
    EXPECT_EQ(store.status(), absl::OkStatus());
    return *std::move(store);
  }

  /// A count by its name without the prefix, as the member says.
  std::uint64_t Count(int member, const std::string& name) const {
    const auto client = StatsClient::Connect(*transport::MakeUcxFabric(), addresses_[member],
                                             "test", credentials_, Soon());
    if (!client.ok()) return 0;
    const auto entries = (*client)->Ask(Soon());
    for (const StatsEntry& entry : entries.value_or(std::vector<StatsEntry>())) {
      if (entry.name == "pinboard_service_" + name) return entry.value;
    }
    ADD_FAILURE() << "no count " << name;
    return 0;
  }
  /// Waits until it is `value`.
  void Await(int member, const std::string& name, std::uint64_t value) const {
    const absl::Time give_up = Soon();
    std::uint64_t seen = 0;
    while ((seen = Count(member, name)) != value && SteadyNow() < give_up) {
      absl::SleepFor(absl::Milliseconds(10));
    }
    EXPECT_EQ(seen, value) << name << " of member " << member;
  }

 private:
  const std::vector<std::string> arguments_;
  const std::optional<Credentials> credentials_;
  std::vector<std::string> addresses_;
  std::vector<std::unique_ptr<ChildProcess>> processes_;
};

}  // namespace pinboard::cache_service
