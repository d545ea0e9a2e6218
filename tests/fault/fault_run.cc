// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/fault/fault_run.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/clock.h"
#include "tests/cache_service/child_process.h"
#include "tests/fault/fault_service.h"
#include "tests/fault/fault_settings.h"
#include "tests/fault/scripted_client.h"

namespace pinboard::testing {
namespace {

using cache_service::FetchResult;
using cache_service::PageRef;
using cache_service::PageStore;

constexpr absl::Duration kCallPatience = absl::Milliseconds(50);

}  // namespace

void FaultOutcome::Add(const FaultOutcome& other) {
  violations.insert(violations.end(), other.violations.begin(), other.violations.end());
  published += other.published;
  hits += other.hits;
  misses += other.misses;
  unavailable += other.unavailable;
  corrupted += other.corrupted;
  kills += other.kills;
  stops += other.stops;
  pages_checked += other.pages_checked;
  had_to_miss += other.had_to_miss;
  withdrawals += other.withdrawals;
  quarantined += other.quarantined;
  refused_files += other.refused_files;
  longest_recovery = std::max(longest_recovery, other.longest_recovery);
  latest = std::max(latest, other.latest);
}

void FaultOutcome::Add(int index, const ClientCounts& counts) {
  published += counts.published;
  hits += counts.hits;
  misses += counts.misses;
  unavailable += counts.unavailable;
  corrupted += counts.corrupted;
  had_to_miss += counts.had_to_miss;
  const auto never = [&](const std::atomic<std::uint64_t>& count, const char* what) {
    if (count != 0)
      Violated(absl::StrCat("client ", index, " got ", what, " ", count.load(), " times"));
  };
  never(counts.wrong, "another page's bytes");
  never(counts.stale, "a page that was dropped, replaced or never published");
  never(counts.foreign, "a lease of what holds another tenant's page");
  never(counts.protocol_errors,
        "what breaks the protocol, as another page than the one asked for,");
}

std::string FaultOutcome::ToString() const {
  return absl::StrCat(
      published, " published, ", hits, " hits, ", misses, " misses, ", unavailable,
      " unavailable, ", corrupted, " checksum failures; ", kills, " kills, ", stops, " stops; ",
      pages_checked, " pages had to be there, ", had_to_miss, " had to be gone; ", withdrawals,
      " keys withdrawn, ", quarantined, " slabs quarantined by that, ", refused_files,
      " damaged files refused; longest recovery ", absl::FormatDuration(longest_recovery),
      ", latest return ", absl::FormatDuration(latest), " after its deadline; ", violations.size(),
      " violations");
}

void DamageAPage(const Board& board,
                 const std::function<std::vector<FetchResult>(const std::vector<PageRef>&)>& fetch,
                 std::vector<PageRef>& damaged) {
  for (std::uint32_t page = 0; page < kPagesOfClient; ++page) {
    const std::uint32_t generation = board.latest[0][page].load();
    if (generation == 0) continue;
    for (const FetchResult& fetched : fetch({{{.sequence = 0, .page = page}, generation}})) {
      if (!fetched.pin.ok() || absl::c_linear_search(damaged, fetched.page)) continue;
      const_cast<std::byte&>(fetched.pin->bytes()[page * 97]) ^= std::byte{0x10};
      damaged.push_back(fetched.page);
      return;
    }
  }
}

FaultRun::FaultRun(const FaultPlan& plan, const std::string& directory, absl::Duration patience)
    : plan_(plan),
      patience_(patience),
      board_path_(absl::StrCat(directory, "/fault_board_", getpid())),
      errors_path_(absl::StrCat(directory, "/fault_errors_", getpid())),
      clock_(absl::StrCat(directory, "/fault_clock_", getpid())),
      board_((unlink(board_path_.c_str()), board_path_)) {
  MapPages(plan.mapped);
  setenv("UCX_NET_DEVICES", plan.networked ? NetworkNode::kInterface : "lo", 1);
  if (plan.Has(EventKind::kSetClock)) environment_ = clock_.Environment();
  if (plan.networked) network_ = std::make_unique<TestNetwork>(2, plan.client_seed);
  board_->tenants.store(static_cast<int>(plan.tenants.size()));
  unlink(errors_path_.c_str());
  if (!plan.tenants.empty()) files_ = std::make_unique<TenantFiles>(plan.tenants);
}

FaultRun::~FaultRun() {
  unlink(board_path_.c_str());
  unlink(errors_path_.c_str());
}

void FaultRun::Violated(std::string what) { outcome_.Violated(std::move(what)); }

void FaultRun::RunAt(Host host, std::function<void()> task) {
  if (network_ == nullptr) return task();
  network_->node(static_cast<int>(host)).Run(std::move(task));
}

void FaultRun::StartService(const std::string& listen, const std::string& fault) {
  std::vector<std::string> more;
  if (files_ != nullptr) {
    files_->Mend();  // else it would not start
    more = files_->Arguments();
  }
  RunAt(Host::kServices, [&] {
    service_ = StartFaultService(listen, plan_.arena_bytes, fault, environment_, more,
                                 files_ != nullptr ? errors_path_ : "");
  });
  address_ = AddressOf(*service_);
  if (address_.empty()) Violated("the service did not start");
  service_continues_at_ = service_starts_at_ = absl::InfiniteFuture();
}

void FaultRun::StartClient(const std::string& fault) {
  const int index = board_->client_count.fetch_add(1);
  std::vector<std::string> environment = environment_;
  if (!fault.empty()) environment.push_back("PINBOARD_FAULT=" + fault);
  Client& client = clients_.emplace_back();
  client.may_die = fault.find("kill") != std::string::npos;
  std::vector<std::string> command = {BuiltProgram("tests/fault/fault_client"), address_,
                                      board_path_, std::to_string(index),
                                      std::to_string(plan_.client_seed)};
  if (files_ != nullptr) command.push_back(files_->ClientKeyFile(TenantOf(*board_, index)));
  RunAt(Host::kClients,
        [&] { client.process = std::make_unique<Process>(std::move(command), environment); });
}

FaultKey FaultRun::KeyOfRun(int tenant) const {
  return tenant == kNoTenant ? std::nullopt : FaultKey(files_->OfRun(tenant));
}

bool FaultRun::IsCutOff(int client) const {
  return files_ != nullptr && files_->AreCutOff(TenantOf(*board_, client));
}

bool FaultRun::ConnectStores() {
  const int first = plan_.tenants.empty() ? kNoTenant : 1;
  for (int tenant = first; tenant <= static_cast<int>(plan_.tenants.size()); ++tenant) {
    if (stores_.contains(tenant)) continue;
    bool connected = false;
    RunAt(Host::kClients, [&] {
      auto store = ConnectFaultStore({address_}, KeyOfRun(tenant));
      connected = store.ok();
      if (connected) stores_[tenant] = *std::move(store);
    });
    if (!connected) return false;
  }
  return true;
}

FaultOutcome FaultRun::Play() {
  const std::string host =
      plan_.networked ? NetworkNode::HostName(static_cast<int>(Host::kServices)) : "127.0.0.1";
  StartService(host + ":0", plan_.service_fault);
  if (!WaitWatching([this] { return ConnectStores(); })) {
    Violated("no connection to the service");
    return outcome_;
  }
  for (const std::string& fault : plan_.client_faults) StartClient(fault);
  Load();
  if (files_ != nullptr) SettleKeys();
  do {
    settled_life_ = board_->life.load();
    Recover();
    AwaitProgress();
  } while (settled_life_ != board_->life.load());
  if (files_ != nullptr) CheckQuotas();
  EndClients();
  for (const auto& [tenant, store] : stores_) CheckConfirmed(tenant);
  CheckCensus();
  EndService();
  CountClients();
  outcome_.refused_files = CountRefusedFiles();
  return outcome_;
}

void FaultRun::Load() {
  const absl::Time start = SteadyNow();
  auto next = plan_.events.begin();
  const auto waits_for_fault = [&] {
    return plan_.until_fault && outcome_.kills + outcome_.stops == 0 && CountRefusedFiles() == 0 &&
           SteadyNow() < start + patience_;
  };
  while (SteadyNow() < start + plan_.load || waits_for_fault()) {
    for (; next != plan_.events.end() && SteadyNow() >= start + next->at; ++next) Fire(*next);
    Watch();
    absl::SleepFor(absl::Milliseconds(1));
  }
}

std::uint64_t FaultRun::CountRefusedFiles() const {
  std::ifstream errors(errors_path_);
  std::uint64_t count = 0;
  for (std::string line; std::getline(errors, line);) {
    count += absl::StrContains(line, "what was read before stays") ? 1 : 0;
  }
  return count;
}

void FaultRun::Fire(const FaultEvent& event) {
  Client& client = clients_[event.client];
  switch (event.kind) {
    case EventKind::kKillService:
      return SignalService(SIGKILL);
    case EventKind::kStopService:
      return SignalService(SIGSTOP);
    case EventKind::kKillClient:
      client.may_die = true;
      return client.process->Signal(SIGKILL);
    case EventKind::kStopClient:
      return client.process->Signal(SIGSTOP);
    case EventKind::kSetClock:
      AwaitConnected();
      return clock_.Set(event.clock_seconds);
    case EventKind::kCorrupt:
      return Corrupt();
    case EventKind::kChangeLink:
      SetLinks(event.to_service, event.from_service);
      link_heals_at_ = SteadyNow() + event.lasts;
      return;
    case EventKind::kWithdrawKeys:
      return files_->WithdrawKeys(event.tenant);
    case EventKind::kGiveKey:
      files_->GiveKey(event.tenant);
      ++board_->keys_given[event.tenant];
      return;
    case EventKind::kSetLimits:
      return files_->SetLimits(event.limits);
    case EventKind::kDamageKeys:
      return files_->DamageKeys();
    case EventKind::kDamageLimits:
      return files_->DamageLimits();
  }
}

void FaultRun::SignalService(int signal) {
  if (service_ != nullptr) service_->Signal(signal);  // else it is down already
}

void FaultRun::AwaitConnected() {
  const bool all = WaitWatching([this] {
    for (std::size_t i = 0; i < clients_.size(); ++i) {
      if (!clients_[i].ended && !board_->clients[i].connected) return false;
    }
    return true;
  });
  if (!all) Violated("a client does not connect");
}

void FaultRun::Corrupt() {
  if (!plan_.mapped) return;  // a pin is a copy
  const auto fetch = [this](const std::vector<PageRef>& pages) {
    return Fetch(TenantOf(*board_, 0), pages);
  };
  DamageAPage(*board_, fetch, corrupted_);
}

void FaultRun::SetLinks(const Link& to_service, const Link& from_service) {
  const int service = static_cast<int>(Host::kServices);
  const int client = static_cast<int>(Host::kClients);
  network_->relay().Set(client, service, to_service);
  network_->relay().Set(service, client, from_service);
}

void FaultRun::WatchLink() {
  if (SteadyNow() < link_heals_at_) return;
  SetLinks({}, {});
  link_heals_at_ = absl::InfiniteFuture();
  fault_end_ = SteadyNow();
}

void FaultRun::Watch() {
  WatchLink();
  WatchService();
  for (Client& client : clients_) WatchClient(client);
}

void FaultRun::WatchService() {
  const absl::Time now = SteadyNow();
  if (service_ != nullptr && service_->Look() == Process::State::kEnded && !service_ending_) {
    if (service_->outcome() != -SIGKILL) {
      Violated(absl::StrCat("the service ended with ", service_->outcome()));
    }
    ++board_->life;
    ++outcome_.kills;
    service_.reset();
    service_continues_at_ = absl::InfiniteFuture();
    service_starts_at_ = now + plan_.downtime;
  } else if (service_ != nullptr && service_->Look() == Process::State::kStopped &&
             service_continues_at_ == absl::InfiniteFuture()) {
    ++outcome_.stops;
    service_continues_at_ = now + plan_.pause;
  }
  if (now >= service_continues_at_) {
    service_->Signal(SIGCONT);
    service_continues_at_ = absl::InfiniteFuture();
    fault_end_ = SteadyNow();
  }
  if (now >= service_starts_at_) {
    StartService(address_, "");
    fault_end_ = SteadyNow();
  }
}

void FaultRun::WatchClient(Client& client) {
  const Process::State state = client.process->Look();
  if (state == Process::State::kStopped && client.continue_at == absl::InfiniteFuture()) {
    ++outcome_.stops;
    client.was_stopped = true;
    client.continue_at = SteadyNow() + plan_.pause;
  }
  if (state == Process::State::kEnded && !client.ended) {
    client.ended = true;
    client.continue_at = absl::InfiniteFuture();
    if (client.process->outcome() == -SIGKILL) ++outcome_.kills;
  }
  if (SteadyNow() >= client.continue_at) {
    client.process->Signal(SIGCONT);
    client.continue_at = absl::InfiniteFuture();
  }
}

bool FaultRun::WaitWatching(const std::function<bool()>& condition) {
  fault_end_ = SteadyNow();
  while (!condition()) {
    Watch();
    const bool healed = service_ != nullptr && service_continues_at_ == absl::InfiniteFuture() &&
                        link_heals_at_ == absl::InfiniteFuture();
    if (healed && SteadyNow() > fault_end_ + patience_) return false;
    absl::SleepFor(absl::Milliseconds(1));
  }
  return true;
}

std::vector<FetchResult> FaultRun::Fetch(int tenant, const std::vector<PageRef>& pages) {
  const absl::Time deadline = SteadyNow() + patience_;
  PageStore& store = *stores_.at(tenant);
  store.Fetch(pages, deadline);
  std::vector<FetchResult> results;
  while (results.size() < pages.size()) {
    Watch();
    store.WaitFetched(SteadyNow() + absl::Milliseconds(2));
    for (FetchResult& fetched : store.TakeFetched()) results.push_back(std::move(fetched));
  }
  return results;
}

bool FaultRun::IsUsable(int tenant, std::uint32_t number) {
  PageStore& store = *stores_.at(tenant);
  const PageRef probe{{.sequence = kMostClients, .page = number % 1024}, number};
  if (!PutPages(store, {probe}, SteadyNow() + kCallPatience, tenant).ok()) return false;
  store.Fetch({probe}, SteadyNow() + kCallPatience);
  bool read = false;
  while (store.WaitFetched(SteadyNow() + 2 * kCallPatience)) {
    for (FetchResult& fetched : store.TakeFetched()) {
      if (!fetched.pin.ok()) continue;
      read = Judge(fetched, tenant) == Verdict::kIntact;
      if (!read) Violated("the run's own page holds other bytes");
    }
  }
  return read;
}

void FaultRun::Recover() {
  const auto works = [this] {
    const std::uint32_t number = next_probe_++;
    for (const auto& [tenant, store] : stores_) {
      if (!IsUsable(tenant, number)) return false;
    }
    return link_heals_at_ == absl::InfiniteFuture();
  };
  if (!WaitWatching(works)) return Violated("nothing can be published and read after the faults");
  outcome_.longest_recovery = SteadyNow() - fault_end_;
}

void FaultRun::AwaitProgress() {
  std::vector<std::uint64_t> hits;
  for (std::size_t i = 0; i < clients_.size(); ++i) hits.push_back(board_->clients[i].hits.load());
  const auto waits = [&](std::size_t i) {
    return clients_[i].process->Look() != Process::State::kEnded && !IsCutOff(i) &&
           board_->clients[i].hits.load() == hits[i];
  };
  WaitWatching([&] {
    for (std::size_t i = 0; i < clients_.size(); ++i) {
      if (waits(i)) return false;
    }
    return true;
  });
  for (std::size_t i = 0; i < clients_.size(); ++i) {
    if (!waits(i)) continue;
    const ClientCounts& counts = board_->clients[i];
    Violated(absl::StrCat("client ", i, counts.connected ? "" : ", which never connected,",
                          " reads no page any more: ", counts.published.load(), " published, ",
                          counts.hits.load(), " hits, ", counts.misses.load(), " misses, ",
                          counts.unavailable.load(), " unavailable"));
  }
}

}  // namespace pinboard::testing
