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

void FaultRun::CheckConfirmed() {
  const std::uint32_t life = board_->life.load();
  if (life != settled_life_) return;  // the group's last client may have gone before this one came
  std::vector<PageRef> pages;
  for (std::size_t i = 0; i < clients_.size(); ++i) {
    // Where the service was restarted, a client that was killed may have been the last of its
    // group.
    if (life > 0 && clients_[i].process->outcome() != 0) continue;
    for (std::uint32_t page = 0; page < kPagesOfClient; ++page) {
      const std::uint64_t confirmed = board_->confirmed[i][page].load();
      const auto generation = static_cast<std::uint32_t>(confirmed);
      if (generation == 0 || confirmed != Confirmation(life, generation)) continue;
      pages.push_back({{.sequence = i, .page = page}, generation});
    }
  }
  std::vector<FetchResult> results = Fetch(pages);
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
    const std::string name =
        absl::StrCat("page ", fetched.page.key.page, " of client ", fetched.page.key.sequence,
                     ", generation ", fetched.page.generation, ": ");
    const bool damaged = absl::c_linear_search(corrupted_, fetched.page);
    if (!fetched.pin.ok()) {
      const bool evicted = fetched.pin.status().message() == "page evicted";
      if (!evicted) Violated(absl::StrCat(name, fetched.pin.status().ToString()));
    } else if (const Verdict verdict = Judge(fetched);
               verdict != (damaged ? Verdict::kCorrupted : Verdict::kIntact)) {
      Violated(name + (verdict == Verdict::kWrong ? "another page's bytes" : "damaged bytes"));
    }
  }
}

void FaultRun::CheckCensus() {
  if (store_->stats().protocol_errors != 0) Violated("the service broke the protocol");
  store_.reset();
  std::string census = "no answer";
  const bool empty = WaitWatching([&] {
    bool found = false;
    RunAt(Host::kClients, [&] { found = IsEmptyService(address_, &census); });
    return found;
  });
  if (!empty) Violated("after all have gone: " + census);
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
    if (counts.corrupted != 0 && corrupted_.empty()) {
      Violated(absl::StrCat("client ", i, " got damaged bytes"));
    }
    if (clients_[i].was_stopped) continue;
    outcome_.latest = std::max(outcome_.latest, absl::Microseconds(counts.latest_us.load()));
  }
  if (outcome_.latest > patience_) Violated("a call did not return by its deadline");
}

}  // namespace pinboard::testing
