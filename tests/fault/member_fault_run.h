// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Three real pinboardds that keep each page twice, real clients of all three, a plan of faults, and
// what must hold then.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "cache_service/page_store.h"
#include "tests/fault/board.h"
#include "tests/fault/fault_run.h"
#include "tests/fault/member_fault_plan.h"
#include "tests/fault/process.h"
#include "tests/fault/wall_clock.h"

namespace pinboard::testing {

/// Plays the plan, then heals: what is stopped goes on, members that are gone start again. Then,
/// within `patience` each: a page can be published and read; the members find each other; each
/// client that lives gets its answers. Then, unless members have little room, pages that are at all
/// members are replaced and dropped at one, which misses them from then on, and soon so do all.
/// Then pages are published at the plan's victim, and once no member has a copy left to make it is
/// killed while the clients go on: each page is readable through any other member. Once it is back
/// and no page has a copy too few, that other member is killed as well, and each page is readable
/// through the third. At last the clients end when told to, no member has anything leased,
/// quarantined, pinned or parked, and each ends. Never: another page's bytes, damaged bytes where
/// no memory was damaged, an end that is not the plan's. Needs a directory for its files; one run
/// at a time in a process.
class MemberFaultRun {
 public:
  MemberFaultRun(const MemberFaultPlan& plan, const std::string& directory,
                 absl::Duration patience);
  ~MemberFaultRun();

  FaultOutcome Play();

 private:
  /// A member or a client.
  struct Program {
    std::unique_ptr<Process> process;
    bool may_die = false;  // the plan kills it
    bool ended = false;
    bool was_stopped = false;
    absl::Time continue_at = absl::InfiniteFuture();
    absl::Time start_at = absl::InfiniteFuture();  // of a member that was killed
  };

  void StartMember(int member, const std::string& fault);
  void StartClient(const std::string& fault);
  bool ConnectStore();
  void Load();
  void Fire(const MemberFaultEvent& event);
  void Signal(Program& program, int signal);
  void AwaitConnected();
  /// A page of the clients, where the run's store finds it.
  void Damage();
  void Watch();
  void WatchStops(Program& program);
  void WatchMember(int member);
  bool IsHealed() const;
  bool WaitWatching(const std::function<bool()>& condition);
  static bool Publish(cache_service::PageStore& store,
                      const std::vector<cache_service::PageRef>& pages);
  /// Those that come in time.
  std::vector<cache_service::FetchResult> Fetch(cache_service::PageStore& store,
                                                const std::vector<cache_service::PageRef>& pages);
  /// How many of these are read, each with its own bytes.
  std::size_t CountRead(cache_service::PageStore& store,
                        const std::vector<cache_service::PageRef>& pages);
  bool EachMemberSays(const std::string& count, std::uint64_t value);
  void Recover();
  void AwaitProgress();
  /// What went wrong in a scene, of which this is the nth attempt; empty: nothing. A problem in a
  /// scene that a late fault disturbs is none: it is played again.
  void PlayUndisturbed(const std::function<std::string(std::uint32_t)>& scene);
  std::string ForgetPages(std::uint32_t attempt);
  std::string LosePages(std::uint32_t attempt);
  /// How many pages a member has after the loss of another.
  std::size_t CountWithout(int lost, int reader, const std::vector<cache_service::PageRef>& pages);
  void EndClients();
  void CheckCensus();
  void EndMembers();
  void CountClients();
  void Violated(std::string what);

  const MemberFaultPlan plan_;
  const absl::Duration patience_;
  const std::string board_path_;
  const WallClock clock_;
  std::vector<std::string> environment_;  // of members and clients
  SharedBoard board_;
  std::vector<std::string> addresses_;
  std::array<Program, kFaultMembers> members_;
  std::vector<Program> clients_;
  std::unique_ptr<cache_service::PageStore> store_;  // keeps the group while clients come and go
  std::vector<cache_service::PageRef> damaged_;
  absl::Time fault_end_;
  int disturbances_ = 0;  // kills and stops seen
  int losses_ = 0;        // of those, by LosePages
  bool ending_ = false;
  std::uint32_t next_probe_ = 1;
  FaultOutcome outcome_;
};

}  // namespace pinboard::testing
