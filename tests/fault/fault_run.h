// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A real pinboardd and real clients, a plan of faults, and what must hold then.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "cache_service/page_store.h"
#include "tests/fault/board.h"
#include "tests/fault/fault_plan.h"
#include "tests/fault/fault_service.h"
#include "tests/fault/process.h"
#include "tests/fault/tenant_files.h"
#include "tests/fault/test_network.h"
#include "tests/fault/wall_clock.h"

namespace pinboard::testing {

/// What came of a run, or of many.
struct FaultOutcome {
  std::vector<std::string> violations;
  std::uint64_t published = 0, hits = 0, misses = 0, unavailable = 0, corrupted = 0;
  std::uint64_t kills = 0, stops = 0;
  std::uint64_t pages_checked = 0;  // that had to be there at the end
  std::uint64_t had_to_miss = 0;    // pages dropped, replaced or never published, and not there
  std::uint64_t withdrawals = 0;    // of keys, each found to be refused
  std::uint64_t quarantined = 0;    // slabs of clients without a key, while others went on
  std::uint64_t refused_files = 0;  // of keys or limits, that were damaged
  absl::Duration longest_recovery;
  absl::Duration latest;  // a call beyond its deadline, of clients that were never stopped

  void Add(const FaultOutcome& other);
  /// What client `index` has counted, but for `latest`; what must be 0 is a violation.
  void Add(int index, const ClientCounts& counts);
  void Violated(std::string what) { violations.push_back(std::move(what)); }
  /// One line, violations left out.
  std::string ToString() const;
};

/// Damages a page of the first client that `fetch` gets from mapped memory, and adds it to
/// `damaged`; none of those, as twice would undo it.
void DamageAPage(const Board& board,
                 const std::function<std::vector<cache_service::FetchResult>(
                     const std::vector<cache_service::PageRef>&)>& fetch,
                 std::vector<cache_service::PageRef>& damaged);

/// Plays the plan, then heals: what is stopped goes on, a service that is gone starts again. Then,
/// within `patience` each: a page can be published and read; each client that lives gets its
/// answers; the clients end when told to; nothing is leased, quarantined, pinned or kept once all
/// are gone; the service ends. Never: another page's bytes, a page that is not there though its
/// service lives and nobody dropped or evicted it, an end that is not the plan's.
///
/// With tenants: a key that was taken out is refused, and ends connections; the others' clients go
/// on meanwhile, and its own once they are given another; no tenant keeps more than its quota. A
/// damaged file changes nothing, and stays damaged until the service starts again.
///
/// Needs a directory for its files; one run at a time in a process. A plan that is networked
/// requires CheckMayMakeNetworks.
class FaultRun {
 public:
  FaultRun(const FaultPlan& plan, const std::string& directory, absl::Duration patience);
  ~FaultRun();

  FaultOutcome Play();

 private:
  struct Client {
    std::unique_ptr<Process> process;
    bool may_die = false;  // the plan kills it
    bool ended = false;
    bool was_stopped = false;  // so that its own clock says nothing
    absl::Time continue_at = absl::InfiniteFuture();
  };

  /// Where the plan is networked; else all are on this one.
  enum class Host { kServices, kClients };

  void RunAt(Host host, std::function<void()> task);
  void StartService(const std::string& listen, const std::string& fault);
  bool ConnectStores();
  void StartClient(const std::string& fault);
  void Load();
  void Fire(const FaultEvent& event);
  void SignalService(int signal);
  void AwaitConnected();
  void SetLinks(const Link& to_service, const Link& from_service);
  void Corrupt();
  void Watch();
  void WatchLink();
  void WatchService();
  void WatchClient(Client& client);
  std::uint64_t CountRefusedFiles() const;
  void SettleKeys();
  void CheckWithdrawn(int tenant);
  void Recover();
  bool IsUsable(int tenant, std::uint32_t number);
  void AwaitProgress();
  void CheckQuotas();
  bool KeepsQuota(int tenant, std::string* census);
  void EndClients();
  void CheckConfirmed(int tenant);
  void CheckCensus();
  void EndService();
  void CountClients();
  bool WaitWatching(const std::function<bool()>& condition);
  std::vector<cache_service::FetchResult> Fetch(int tenant,
                                                const std::vector<cache_service::PageRef>& pages);
  /// Where the plan has no tenants.
  static constexpr int kNoTenant = 0;
  FaultKey KeyOfRun(int tenant) const;
  bool IsCutOff(int client) const;
  void Violated(std::string what);

  const FaultPlan plan_;
  const absl::Duration patience_;
  const std::string board_path_;
  const std::string errors_path_;  // what the service logs, where there are tenants
  const WallClock clock_;
  std::vector<std::string> environment_;
  SharedBoard board_;
  std::unique_ptr<TestNetwork> network_;  // ends after what runs there
  absl::Time link_heals_at_ = absl::InfiniteFuture();
  std::string address_;
  std::unique_ptr<Process> service_;
  absl::Time service_continues_at_ = absl::InfiniteFuture();
  absl::Time service_starts_at_ = absl::InfiniteFuture();
  bool service_ending_ = false;
  std::vector<Client> clients_;
  /// By tenant; they keep the group while clients come and go.
  std::map<int, std::unique_ptr<cache_service::PageStore>> stores_;
  std::unique_ptr<TenantFiles> files_;             // null without tenants
  std::vector<cache_service::PageRef> corrupted_;  // of the first client's tenant
  absl::Time fault_end_;
  std::uint32_t settled_life_ = 0;  // in which all went on after the faults
  std::uint32_t next_probe_ = 1;
  FaultOutcome outcome_;
};

}  // namespace pinboard::testing
