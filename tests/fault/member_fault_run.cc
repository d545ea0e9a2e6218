// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/fault/member_fault_run.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "base/clock.h"
#include "tests/cache_service/child_process.h"
#include "tests/fault/fault_members.h"
#include "tests/fault/fault_service.h"
#include "tests/fault/fault_settings.h"
#include "tests/fault/scripted_client.h"

namespace pinboard::testing {
namespace {

static_assert(kFaultMembers == FaultMembers::kMembers);
// All pages of all clients fit: what is not there was never copied, or lost.
constexpr std::uint64_t kArenaBytes = std::uint64_t{8} << 20;
// Half of all pages of four clients: who has clients is full, who has none has room.
constexpr std::uint64_t kTightArenaBytes = 32 * kFaultPageBytes;

}  // namespace

MemberFaultRun::MemberFaultRun(const MemberFaultPlan& plan, const std::string& directory,
                               absl::Duration patience)
    : plan_(plan),
      patience_(patience),
      board_path_(absl::StrCat(directory, "/member_board_", getpid())),
      clock_(absl::StrCat(directory, "/member_clock_", getpid())),
      board_((unlink(board_path_.c_str()), board_path_)),
      addresses_(FaultMembers::FreeAddresses()) {
  MapPages(plan.mapped);
  setenv("UCX_NET_DEVICES", "lo", 1);
  if (plan.Has(EventKind::kSetClock)) environment_ = clock_.Environment();
}

MemberFaultRun::~MemberFaultRun() { unlink(board_path_.c_str()); }

void MemberFaultRun::Violated(std::string what) { outcome_.Violated(std::move(what)); }

void MemberFaultRun::StartMember(int member, const std::string& fault) {
  Program& program = members_[member];
  program = {};
  program.process = StartFaultService(
      addresses_[member], plan_.is_tight ? kTightArenaBytes : kArenaBytes, fault, environment_,
      {"--members", absl::StrJoin(addresses_, ","), "--replicas", plan_.is_tight ? "1" : "2"});
  if (AddressOf(*program.process).empty()) Violated(absl::StrCat("no start of member ", member));
}

void MemberFaultRun::StartClient(const std::string& fault) {
  const int index = board_->client_count.fetch_add(1);
  // Each prefers another member.
  std::vector<std::string> services = addresses_;
  std::rotate(services.begin(), services.begin() + index % kFaultMembers, services.end());
  std::vector<std::string> environment = environment_;
  if (!fault.empty()) environment.push_back("PINBOARD_FAULT=" + fault);
  Program& client = clients_.emplace_back();
  client.may_die = fault.find("kill") != std::string::npos;
  client.process = std::make_unique<Process>(
      std::vector<std::string>{BuiltProgram("tests/fault/fault_client"),
                               absl::StrJoin(services, ","), board_path_, std::to_string(index),
                               std::to_string(plan_.seed)},
      environment);
}

bool MemberFaultRun::ConnectStore() {
  auto store = ConnectFaultStore(addresses_);
  if (store.ok()) store_ = *std::move(store);
  return store_ != nullptr;
}

FaultOutcome MemberFaultRun::Play() {
  for (int i = 0; i < kFaultMembers; ++i) StartMember(i, plan_.member_faults[i]);
  if (!WaitWatching([this] { return ConnectStore(); })) {
    Violated("no connection to any member");
    return outcome_;
  }
  for (const std::string& fault : plan_.client_faults) StartClient(fault);
  Load();
  Recover();
  AwaitProgress();
  if (!plan_.is_tight) {
    PlayUndisturbed([this](std::uint32_t attempt) { return ForgetPages(attempt); });
    PlayUndisturbed([this](std::uint32_t attempt) { return LosePages(attempt); });
    AwaitProgress();
  }
  EndClients();
  CheckCensus();
  EndMembers();
  CountClients();
  return outcome_;
}

void MemberFaultRun::Load() {
  const absl::Time start = SteadyNow();
  auto next = plan_.events.begin();
  const auto waits_for_fault = [&] {
    return plan_.until_fault && disturbances_ == 0 && SteadyNow() < start + patience_;
  };
  while (SteadyNow() < start + plan_.load || waits_for_fault()) {
    for (; next != plan_.events.end() && SteadyNow() >= start + next->at; ++next) Fire(*next);
    Watch();
    absl::SleepFor(absl::Milliseconds(1));
  }
}

void MemberFaultRun::Fire(const MemberFaultEvent& event) {
  switch (event.kind) {
    case EventKind::kKillService:
      return Signal(members_[event.number], SIGKILL);
    case EventKind::kStopService:
      return Signal(members_[event.number], SIGSTOP);
    case EventKind::kKillClient:
      return Signal(clients_[event.number], SIGKILL);
    case EventKind::kStopClient:
      return Signal(clients_[event.number], SIGSTOP);
    case EventKind::kSetClock:
      AwaitConnected();
      return clock_.Set(event.clock_seconds);
    case EventKind::kCorrupt:
      return Damage();
    case EventKind::kChangeLink:
    case EventKind::kWithdrawKeys:
    case EventKind::kGiveKey:
    case EventKind::kSetLimits:
    case EventKind::kDamageKeys:
    case EventKind::kDamageLimits:
      return;
  }
}

void MemberFaultRun::Signal(Program& program, int signal) {
  program.may_die |= signal == SIGKILL;
  if (program.process != nullptr) program.process->Signal(signal);  // else it is down already
}

void MemberFaultRun::AwaitConnected() {
  const bool all = WaitWatching([this] {
    for (std::size_t i = 0; i < clients_.size(); ++i) {
      if (!clients_[i].ended && !board_->clients[i].connected) return false;
    }
    return IsHealed();
  });
  if (!all) Violated("a client does not connect");
}

void MemberFaultRun::Damage() {
  if (!plan_.mapped) return;  // a pin is a copy
  DamageAPage(
      *board_,
      [this](const std::vector<cache_service::PageRef>& pages) { return Fetch(*store_, pages); },
      damaged_);
}

void MemberFaultRun::Watch() {
  for (int i = 0; i < kFaultMembers; ++i) WatchMember(i);
  for (Program& client : clients_) {
    WatchStops(client);
    if (client.ended || client.process->Look() != Process::State::kEnded) continue;
    client.ended = true;
    if (client.process->outcome() == -SIGKILL) ++outcome_.kills;
    ++disturbances_;
  }
}

void MemberFaultRun::WatchStops(Program& program) {
  const Process::State state = program.process->Look();
  if (state == Process::State::kStopped && program.continue_at == absl::InfiniteFuture()) {
    ++outcome_.stops;
    ++disturbances_;
    program.was_stopped = true;
    program.continue_at = SteadyNow() + plan_.pause;
  }
  if (state == Process::State::kEnded) program.continue_at = absl::InfiniteFuture();
  if (SteadyNow() < program.continue_at) return;
  program.process->Signal(SIGCONT);
  program.continue_at = absl::InfiniteFuture();
  fault_end_ = SteadyNow();
}

void MemberFaultRun::WatchMember(int member) {
  Program& program = members_[member];
  if (program.process != nullptr) {
    WatchStops(program);
    if (program.process->Look() != Process::State::kEnded || ending_) return;
    if (program.process->outcome() != -SIGKILL) {
      Violated(absl::StrCat("member ", member, " ended with ", program.process->outcome()));
    }
    ++outcome_.kills;
    ++disturbances_;
    program.process.reset();
    program.start_at = SteadyNow() + plan_.downtime;
  }
  if (SteadyNow() < program.start_at) return;
  StartMember(member, "");
  fault_end_ = SteadyNow();
}

bool MemberFaultRun::IsHealed() const {
  return std::all_of(members_.begin(), members_.end(), [](const Program& member) {
    return member.process != nullptr && member.continue_at == absl::InfiniteFuture();
  });
}

bool MemberFaultRun::WaitWatching(const std::function<bool()>& condition) {
  fault_end_ = SteadyNow();
  while (!condition()) {
    Watch();
    if (IsHealed() && SteadyNow() > fault_end_ + patience_) return false;
    absl::SleepFor(absl::Milliseconds(1));
  }
  return true;
}

}  // namespace pinboard::testing
