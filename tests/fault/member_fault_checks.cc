// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What must hold once the faults are over: a part of MemberFaultRun.
#include <signal.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/clock.h"
#include "tests/fault/fault_service.h"
#include "tests/fault/member_fault_run.h"
#include "tests/fault/scripted_client.h"

namespace pinboard::testing {
namespace {

using cache_service::FetchResult;
using cache_service::PageRef;
using cache_service::PageStore;

constexpr absl::Duration kCallPatience = absl::Milliseconds(600);  // a fetch may look elsewhere
constexpr absl::Duration kEndIsSeen = absl::Milliseconds(500);
constexpr int kPagesToSurvive = 48;
constexpr int kPagesToForget = 16;

}  // namespace

bool MemberFaultRun::Publish(PageStore& store, const std::vector<PageRef>& pages) {
  return std::all_of(pages.begin(), pages.end(), [&store](const PageRef& page) {
    return PutPages(store, {page}, SteadyNow() + kCallPatience).ok();
  });
}

std::vector<FetchResult> MemberFaultRun::Fetch(PageStore& store,
                                               const std::vector<PageRef>& pages) {
  const absl::Time deadline = SteadyNow() + kCallPatience;
  store.Fetch(pages, deadline);
  std::vector<FetchResult> results;
  while (results.size() < pages.size() && SteadyNow() < deadline + patience_) {
    Watch();
    store.WaitFetched(SteadyNow() + absl::Milliseconds(2));
    absl::c_move(store.TakeFetched(), std::back_inserter(results));
  }
  if (results.size() < pages.size()) Violated("a fetch of the run hangs");
  return results;
}

std::size_t MemberFaultRun::CountRead(PageStore& store, const std::vector<PageRef>& pages) {
  std::size_t read = 0;
  for (FetchResult& fetched : Fetch(store, pages)) {
    if (!fetched.pin.ok()) continue;
    ++read;
    if (Judge(fetched) != Verdict::kIntact) Violated("the run's own page holds other bytes");
  }
  return read;
}

bool MemberFaultRun::EachMemberSays(const std::string& count, std::uint64_t value) {
  return std::all_of(addresses_.begin(), addresses_.end(), [&](const std::string& address) {
    const auto counts = AskCounts(address);
    const auto found = counts.has_value() ? counts->find(count) : decltype(counts->find(count)){};
    return counts.has_value() && found != counts->end() && found->second == value;
  });
}

void MemberFaultRun::Recover() {
  const auto works = [this] {
    const std::uint32_t number = next_probe_++;
    const PageRef probe{{.sequence = kMostClients, .page = number % 1024}, number};
    return Publish(*store_, {probe}) && CountRead(*store_, {probe}) == 1 && IsHealed();
  };
  if (!WaitWatching(works)) return Violated("nothing can be published and read after the faults");
  outcome_.longest_recovery = std::max(outcome_.longest_recovery, SteadyNow() - fault_end_);
  if (!WaitWatching([this] { return EachMemberSays("peers{state=\"up\"}", kFaultMembers - 1); })) {
    Violated("the members do not find each other");
  }
}

void MemberFaultRun::AwaitProgress() {
  std::vector<std::uint64_t> hits;
  for (std::size_t i = 0; i < clients_.size(); ++i) hits.push_back(board_->clients[i].hits.load());
  const auto waits = [&](std::size_t i) {
    return clients_[i].process->Look() != Process::State::kEnded &&
           board_->clients[i].hits.load() == hits[i];
  };
  const auto all_read = [&] {
    for (std::size_t i = 0; i < clients_.size(); ++i) {
      if (waits(i)) return false;
    }
    return true;
  };
  if (WaitWatching(all_read)) return;
  for (std::size_t i = 0; i < clients_.size(); ++i) {
    if (waits(i)) Violated(absl::StrCat("client ", i, " reads no page any more"));
  }
}

void MemberFaultRun::PlayUndisturbed(const std::function<std::string(std::uint32_t)>& scene) {
  // A point that a member or a client is armed with may come as late as this: once each.
  for (std::uint32_t attempt = 0;; ++attempt) {
    WaitWatching([this] { return IsHealed(); });
    const int disturbances = disturbances_;
    losses_ = 0;
    const std::string problem = scene(attempt);
    WaitWatching([&] { return disturbances_ >= disturbances + losses_; });
    // Of a process that dies, its connections may be lost before its end is seen.
    const absl::Time seen = SteadyNow() + (problem.empty() ? absl::ZeroDuration() : kEndIsSeen);
    do {
      Watch();
    } while (SteadyNow() < seen);
    if (disturbances_ == disturbances + losses_) {
      if (!problem.empty()) Violated(problem);
      return;
    }
    Recover();
  }
}

std::string MemberFaultRun::ForgetPages(std::uint32_t attempt) {
  std::vector<PageRef> pages;
  for (std::uint32_t i = 0; i < kPagesToForget; ++i) {
    pages.push_back({{.sequence = kMostClients + 10, .page = i}, 2 * attempt + 1});
  }
  std::vector<PageRef> later = pages;
  for (PageRef& page : later) ++page.generation;
  auto writer = ConnectFaultStore({addresses_[plan_.victim]});
  if (!writer.ok() || !Publish(**writer, pages)) return "pages cannot be published";
  const auto have_all = [&](const std::vector<PageRef>& asked) {
    return [&] {
      return std::all_of(addresses_.begin(), addresses_.end(), [&](const std::string& address) {
        auto reader = ConnectFaultStore({address});
        return reader.ok() && CountRead(**reader, asked) == asked.size();
      });
    };
  };
  // Where a page is, its drop is remembered, though another member may not have heard of it yet.
  if (!WaitWatching(have_all(pages))) return "a member does not get all pages";
  if (!Publish(**writer, later)) return "pages cannot be published again";
  if (!WaitWatching(have_all(later))) return "a member does not get all later generations";
  outcome_.had_to_miss += 3 * pages.size();
  if (CountRead(**writer, pages) > 0) return "a page that was replaced is there";
  (*writer)->Drop(later);
  if (CountRead(**writer, later) > 0) return "a page that was dropped is there";
  const auto are_gone = [&] {
    return std::all_of(addresses_.begin(), addresses_.end(), [&](const std::string& address) {
      auto reader = ConnectFaultStore({address});
      return reader.ok() && CountRead(**reader, later) == 0;
    });
  };
  if (!WaitWatching(are_gone)) return "a page that was dropped is at another member";
  return "";
}

std::size_t MemberFaultRun::CountWithout(int lost, int reader, const std::vector<PageRef>& pages) {
  auto store = ConnectFaultStore({addresses_[reader]});
  if (!store.ok()) return 0;
  if (members_[lost].process != nullptr) {
    members_[lost].process->Signal(SIGKILL);
    ++losses_;
  }
  outcome_.pages_checked += pages.size();
  return CountRead(**store, pages);
}

std::string MemberFaultRun::LosePages(std::uint32_t attempt) {
  std::vector<PageRef> pages;
  for (std::uint32_t i = 0; i < kPagesToSurvive; ++i) {
    pages.push_back({{.sequence = kMostClients + 1 + i / 16, .page = i % 16}, attempt + 1});
  }
  auto writer = ConnectFaultStore({addresses_[plan_.victim]});
  if (!writer.ok() || !Publish(**writer, pages)) return "pages cannot be published";
  // The clients go on: it is of a moment in which nothing waits, nor is to be looked at.
  const auto made = [&] {
    return CountRead(**writer, pages) == pages.size() && EachMemberSays("copies_waiting", 0) &&
           EachMemberSays("under_replicated_pages", 0);
  };
  if (!WaitWatching(made)) return "copies are not made";
  const int second = (plan_.victim + 1 + static_cast<int>(plan_.seed % 2)) % kFaultMembers;
  const int third = 3 - plan_.victim - second;
  const auto missing = [&](std::size_t read, const std::string& without) {
    return absl::StrCat(pages.size() - read, " of ", pages.size(), " pages are lost without ",
                        without);
  };
  std::size_t read = CountWithout(plan_.victim, second, pages);
  if (read < pages.size()) return missing(read, absl::StrCat("member ", plan_.victim));
  const auto is_back = [&] {
    return IsHealed() && EachMemberSays("peers{state=\"up\"}", kFaultMembers - 1);
  };
  if (!WaitWatching(is_back)) return "the members do not find each other";
  if (!WaitWatching([&] { return EachMemberSays("under_replicated_pages", 0); })) {
    return "copies are not made anew";
  }
  read = CountWithout(second, third, pages);
  if (read == pages.size()) return "";
  return missing(read, absl::StrCat("members ", plan_.victim, " and then ", second));
}

void MemberFaultRun::EndClients() {
  board_->stop.store(true);
  WaitWatching([this] {
    return std::all_of(clients_.begin(), clients_.end(), [](const Program& client) {
      return client.process->Look() == Process::State::kEnded;
    });
  });
  for (std::size_t i = 0; i < clients_.size(); ++i) {
    Program& client = clients_[i];
    if (client.process->Look() != Process::State::kEnded) {
      Violated(absl::StrCat("client ", i, " hangs"));
    } else if (client.process->outcome() != 0 &&
               (client.process->outcome() != -SIGKILL || !client.may_die)) {
      Violated(absl::StrCat("client ", i, " ended with ", client.process->outcome()));
    }
  }
  if (store_->stats().protocol_errors != 0) Violated("a member broke the protocol");
  store_.reset();
}

void MemberFaultRun::CheckCensus() {
  for (const char* count :
       {"slabs{state=\"leased\"}", "slabs{state=\"quarantined\"}", "pins", "parked_fetches"}) {
    if (!WaitWatching([&] { return EachMemberSays(count, 0); })) {
      Violated(absl::StrCat("after all have gone a member still has ", count));
    }
  }
  for (const std::string& address : addresses_) {
    const std::string mistakes = FindMistakes(address, !damaged_.empty());
    if (!mistakes.empty()) Violated("a member counted " + mistakes);
  }
}

void MemberFaultRun::EndMembers() {
  WaitWatching([this] { return IsHealed(); });
  ending_ = true;
  for (Program& member : members_) member.process->Signal(SIGTERM);
  const bool ended = WaitWatching([this] {
    return std::all_of(members_.begin(), members_.end(), [](Program& member) {
      return member.process->Look() == Process::State::kEnded;
    });
  });
  for (Program& member : members_) {
    // A point that it is armed with may come as late as the last goodbye.
    const int outcome = member.process->outcome();
    if (!ended || (outcome != 0 && outcome != -SIGKILL))
      Violated("a member does not end when told");
  }
}

void MemberFaultRun::CountClients() {
  for (std::size_t i = 0; i < clients_.size(); ++i) {
    const ClientCounts& counts = board_->clients[i];
    outcome_.Add(static_cast<int>(i), counts);
    if (counts.corrupted != 0 && damaged_.empty())
      Violated(absl::StrCat("client ", i, " got damaged bytes"));
    if (clients_[i].was_stopped) continue;
    outcome_.latest = std::max(outcome_.latest, absl::Microseconds(counts.latest_us.load()));
  }
  if (outcome_.latest > patience_) Violated("a call did not return by its deadline");
}

}  // namespace pinboard::testing
