// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What must hold once the faults are over: a part of FaultRun.
#include <signal.h>

#include <algorithm>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/fault/fault_run.h"
#include "tests/fault/fault_service.h"
#include "tests/fault/scripted_client.h"

namespace pinboard::testing {

using cache_service::FetchResult;
using cache_service::PageRef;

void FaultRun::SettleKeys() {
  for (const auto& [tenant, store] : stores_) files_->WithdrawOldKeys(tenant);
  for (const auto& [tenant, store] : stores_) {
    if (files_->HasWithdrawn(tenant)) CheckWithdrawn(tenant);
  }
  AwaitProgress();  // of those that have a key
  for (const auto& [tenant, store] : stores_) {
    if (!files_->AreCutOff(tenant)) continue;
    files_->GiveKey(tenant);
    ++board_->keys_given[tenant];
  }
}

void FaultRun::CheckWithdrawn(int tenant) {
  const FaultKey withdrawn = files_->Withdrawn(tenant);
  absl::Status shown;
  const bool refused = WaitWatching([&] {
    shown = ConnectFaultStore({address_}, withdrawn).status();
    return absl::IsPermissionDenied(shown);
  });
  if (!refused) {
    Violated(absl::StrCat("tenant ", tenant, "'s old key: ", shown.ToString()));
  }
  ++outcome_.withdrawals;
  if (!files_->AreCutOff(tenant)) return;
  const bool alone = WaitWatching([&] {
    const auto counts = AskCounts(address_, KeyOfRun(tenant));
    if (!counts.has_value() || counts->at("clients") > 2) return false;  // the run, and who asks
    outcome_.quarantined += counts->at("slabs{state=\"quarantined\"}");
    return true;
  });
  if (!alone) Violated(absl::StrCat("tenant ", tenant, "'s clients stay without a key"));
}

bool FaultRun::KeepsQuota(int tenant, std::string* census) {
  const auto counts = AskCounts(address_, KeyOfRun(tenant));
  if (!counts.has_value()) return false;
  const cache_service::TenantLimits& limits = files_->LimitsOf(tenant);
  const std::uint64_t used = counts->at("arena_used_bytes");
  const std::uint64_t quota = counts->at("arena_bytes");
  *census = absl::StrCat(used, " of ", quota, " bytes used");
  return quota == *limits.bytes && used <= std::min(quota, limits.pages * kTenantPageBytes);
}

void FaultRun::CheckQuotas() {
  for (const auto& [tenant, store] : stores_) {
    std::string census = "no answer";
    // Pages beyond a quota that was lowered leave as others come, of the run where no client lives.
    const bool kept = WaitWatching(
        [&, of = tenant] { return IsUsable(of, next_probe_++) && KeepsQuota(of, &census); });
    for (int again = 0; kept && again < 3; ++again) {
      census.clear();
      if (KeepsQuota(tenant, &census) || census.empty()) continue;  // or the service was killed
      Violated(absl::StrCat("tenant ", tenant, " does not keep to its quota: ", census));
    }
    if (!kept) Violated(absl::StrCat("tenant ", tenant, " does not come to its quota: ", census));
  }
}

void FaultRun::EndClients() {
  board_->stop.store(true);
  WaitWatching([this] {
    Watch();
    return std::all_of(clients_.begin(), clients_.end(), [](const Client& client) {
      return client.process->Look() == Process::State::kEnded;
    });
  });
  for (std::size_t i = 0; i < clients_.size(); ++i) {
    Client& client = clients_[i];
    if (client.process->Look() != Process::State::kEnded) {
      Violated(absl::StrCat("client ", i, " hangs"));
    } else if (client.process->outcome() != 0 &&
               (client.process->outcome() != -SIGKILL || !client.may_die)) {
      Violated(absl::StrCat("client ", i, " ended with ", client.process->outcome()));
    }
  }
}

void FaultRun::CheckConfirmed(int tenant) {
  const std::uint32_t life = board_->life.load();
  if (life != settled_life_) return;  // the group's last client may have gone before this one came
  std::vector<PageRef> pages;
  for (std::size_t i = 0; i < clients_.size(); ++i) {
    if (TenantOf(*board_, i) != tenant) continue;
    // Where the service was restarted, a client that was killed may have been the last of its
    // group.
    if (life > 0 && clients_[i].process->outcome() != 0) continue;
    for (std::uint32_t page = 0; page < kPagesOfClient; ++page) {
      const std::uint64_t confirmed = board_->confirmed[i][page].load();
      const auto generation = static_cast<std::uint32_t>(confirmed);
      if (generation == 0 || confirmed != Confirmation(life, generation)) continue;
      pages.push_back({{.sequence = SequenceOf(*board_, i), .page = page}, generation});
    }
  }
  std::vector<FetchResult> results = Fetch(tenant, pages);
  if (std::any_of(results.begin(), results.end(), [](const FetchResult& fetched) {
        return absl::IsUnavailable(fetched.pin.status());
      })) {
    absl::SleepFor(
        absl::Milliseconds(100));  // its end may be known to the store before it is to us
    Watch();
  }
  if (board_->life.load() != life) return;  // it was killed meanwhile
  outcome_.pages_checked += pages.size();
  for (FetchResult& fetched : results) {
    const std::string name = absl::StrCat("page ", fetched.page.key.page, " of client ",
                                          ClientOf(*board_, tenant, fetched.page.key.sequence),
                                          ", generation ", fetched.page.generation, ": ");
    const bool damaged =
        tenant == TenantOf(*board_, 0) && absl::c_linear_search(corrupted_, fetched.page);
    if (!fetched.pin.ok()) {
      const bool evicted = fetched.pin.status().message() == "page evicted";
      if (!evicted) Violated(absl::StrCat(name, fetched.pin.status().ToString()));
    } else if (const Verdict verdict = Judge(fetched, tenant);
               verdict != (damaged ? Verdict::kCorrupted : Verdict::kIntact)) {
      Violated(name + (verdict == Verdict::kWrong ? "another page's bytes" : "damaged bytes"));
    }
  }
}

void FaultRun::CheckCensus() {
  std::vector<int> tenants;
  for (const auto& [tenant, store] : stores_) {
    if (store->stats().protocol_errors != 0) Violated("the service broke the protocol");
    tenants.push_back(tenant);
  }
  stores_.clear();
  for (const int tenant : tenants) {
    std::string census = "no answer";
    const bool empty = WaitWatching([&] {
      bool found = false;
      RunAt(Host::kClients, [&] { found = IsEmptyService(address_, &census, KeyOfRun(tenant)); });
      return found;
    });
    if (!empty) Violated("after all have gone: " + census);
  }
  if (files_ != nullptr) return;  // a tenant is not told of mistakes
  std::string mistakes;
  RunAt(Host::kClients, [&] { mistakes = FindMistakes(address_); });
  if (!mistakes.empty()) Violated("the service counted " + mistakes);
}

void FaultRun::EndService() {
  service_ending_ = true;
  service_->Signal(SIGTERM);
  const bool ended = WaitWatching([this] { return service_->Look() == Process::State::kEnded; });
  // A point that it is armed with may come as late as the last goodbye.
  const bool well = service_->outcome() == 0 || service_->outcome() == -SIGKILL;
  if (!ended || !well) Violated("the service does not end when told to");
}

void FaultRun::CountClients() {
  for (std::size_t i = 0; i < clients_.size(); ++i) {
    const ClientCounts& counts = board_->clients[i];
    outcome_.Add(static_cast<int>(i), counts);
    const bool damaged = !corrupted_.empty() && TenantOf(*board_, i) == TenantOf(*board_, 0);
    if (counts.corrupted != 0 && !damaged) {
      Violated(absl::StrCat("client ", i, " got damaged bytes"));
    }
    if (clients_[i].was_stopped) continue;
    outcome_.latest = std::max(outcome_.latest, absl::Microseconds(counts.latest_us.load()));
  }
  if (outcome_.latest > patience_) Violated("a call did not return by its deadline");
}

}  // namespace pinboard::testing
