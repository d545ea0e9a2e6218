// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/fault/fault_members.h"

#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "base/clock.h"
#include "tests/cache_service/child_process.h"
#include "tests/fault/fault_service.h"
#include "tests/fault/scripted_client.h"
#include "tests/support/free_port.h"

namespace pinboard::testing {
namespace {

using cache_service::FetchResult;
using cache_service::PageRef;
using cache_service::PageStore;

constexpr std::uint64_t kArenaBytes = std::uint64_t{8} << 20;      // for all pages of all clients
constexpr absl::Duration kCallPatience = absl::Milliseconds(600);  // a fetch may look elsewhere

}  // namespace

std::vector<std::string> FaultMembers::FreeAddresses() {
  const std::string first = FreeLoopbackRange(kMembers);
  const std::size_t colon = first.rfind(':');
  const int port = std::atoi(first.c_str() + colon + 1);
  std::vector<std::string> addresses;
  for (int i = 0; i < kMembers; ++i) {
    addresses.push_back(absl::StrCat(first.substr(0, colon + 1), port + i));
  }
  return addresses;
}

FaultMembers::FaultMembers(std::vector<std::string> addresses, std::vector<std::string> options,
                           const std::string& directory, RunAt run_at)
    : addresses_(std::move(addresses)),
      options_(std::move(options)),
      run_at_(std::move(run_at)),
      board_path_(absl::StrCat(directory, "/fault_members_", getpid())),
      board_((unlink(board_path_.c_str()), board_path_)) {
  board_->client_count.store(kClients);
}

FaultMembers::~FaultMembers() { unlink(board_path_.c_str()); }

bool FaultMembers::StartMember(int member, const std::string& fault) {
  run_at_(member, [&] {
    members_[member] = StartFaultService(addresses_[member], kArenaBytes, fault, {}, options_);
  });
  return AddressOf(*members_[member]) == addresses_[member];
}

void FaultMembers::KillMember(int member) { members_[member]->Signal(SIGKILL); }

void FaultMembers::StartClients() {
  run_at_(kMembers, [&] {
    for (int i = 0; i < kClients; ++i) {
      clients_[i] = std::make_unique<Process>(
          std::vector<std::string>{BuiltProgram("tests/fault/fault_client"),
                                   absl::StrJoin(addresses_, ","), board_path_, std::to_string(i),
                                   "7"},
          std::vector<std::string>{});
    }
  });
}

std::unique_ptr<PageStore> FaultMembers::Connect(int member) {
  std::unique_ptr<PageStore> store;
  run_at_(kMembers, [&] {
    auto connected = ConnectFaultStore({addresses_[member]});
    if (connected.ok()) store = *std::move(connected);
  });
  return store;
}

std::optional<std::map<std::string, std::uint64_t>> FaultMembers::CountsOf(int member) {
  std::optional<std::map<std::string, std::uint64_t>> counts;
  run_at_(kMembers, [&] { counts = AskCounts(addresses_[member]); });
  return counts;
}

bool FaultMembers::AreWell() {
  for (int i = 0; i < kMembers; ++i) {
    const auto counts = CountsOf(i);
    if (!counts.has_value() || counts->at("peers{state=\"up\"}") != kMembers - 1) return false;
    if (!HasItsCopies(i)) return false;
  }
  return true;
}

bool FaultMembers::HasItsCopies(int member) {
  const auto counts = CountsOf(member);
  return counts.has_value() && counts->at("copies_waiting") == 0 &&
         counts->at("under_replicated_pages") == 0;
}

std::vector<std::uint64_t> FaultMembers::Hits() {
  std::vector<std::uint64_t> hits;
  for (int i = 0; i < kClients; ++i) hits.push_back(board_->clients[i].hits.load());
  return hits;
}

std::string FaultMembers::EndClients(absl::Duration patience) {
  board_->stop.store(true);
  std::string problems;
  for (int i = 0; i < kClients; ++i) {
    Process& client = *clients_[i];
    const ClientCounts& counts = board_->clients[i];
    const absl::Duration latest = absl::Microseconds(counts.latest_us.load());
    if (!Await([&] { return client.Look() == Process::State::kEnded; }, patience)) {
      absl::StrAppend(&problems, "client ", i, " hangs; ");
    } else if (client.outcome() != 0) {
      absl::StrAppend(&problems, "client ", i, " ended with ", client.outcome(), "; ");
    }
    if (counts.wrong + counts.corrupted + counts.stale + counts.protocol_errors > 0) {
      absl::StrAppend(&problems, "client ", i, " got a page that it should not get; ");
    }
    if (latest > patience) {
      absl::StrAppend(&problems, "a call returned ", absl::FormatDuration(latest), " late; ");
    }
  }
  return problems;
}

std::string FaultMembers::FindMembersMistakes() {
  std::string mistakes;
  run_at_(kMembers, [&] {
    for (const std::string& address : addresses_) mistakes += FindMistakes(address);
  });
  return mistakes;
}

std::vector<PageRef> FaultMembers::Pages(std::uint64_t first_sequence) {
  std::vector<PageRef> pages;
  for (std::uint32_t i = 0; i < 48; ++i) {
    pages.push_back({{.sequence = first_sequence + i / 16, .page = i % 16}, 1});
  }
  return pages;
}

bool FaultMembers::Publish(PageStore& store, const PageRef& page) {
  return PutPages(store, {page}, SteadyNow() + kCallPatience).ok();
}

int FaultMembers::CountRead(PageStore& store, const std::vector<PageRef>& pages) {
  store.Fetch(pages, SteadyNow() + kCallPatience);
  int read = 0;
  std::size_t resolved = 0;
  // Without a limit of its own: the store has to keep to the deadline.
  while (resolved < pages.size() && store.WaitFetched(absl::InfiniteFuture())) {
    for (const FetchResult& fetched : store.TakeFetched()) {
      ++resolved;
      if (!fetched.pin.ok()) continue;
      if (Judge(fetched) != Verdict::kIntact) return -1;
      ++read;
    }
  }
  return read;
}

bool FaultMembers::Await(const std::function<bool()>& so, absl::Duration patience) {
  const absl::Time give_up = SteadyNow() + patience;
  while (!so()) {
    if (SteadyNow() > give_up) return false;
    absl::SleepFor(absl::Milliseconds(5));
  }
  return true;
}

}  // namespace pinboard::testing
