// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// ServiceStore's thread, and what whoever drives does.
#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "cache_service/client/service_store.h"

namespace pinboard::cache_service {
namespace {

constexpr absl::Duration kFirstReconnect = absl::Milliseconds(50);
constexpr absl::Duration kSlowestReconnect = absl::Milliseconds(500);
// TCP sends what opens a connection again after a second.
constexpr absl::Duration kReconnectAttempt = absl::Seconds(2);
// Without its goodbye the service keeps what this process held until the process ends.
constexpr absl::Duration kShutdown = absl::Seconds(1);
constexpr absl::Duration kPinsAfter = absl::Milliseconds(2);
// The store's thread keeps away from the fabric while callers use it more often than this: soon it
// looks for what is fetched, and has time for the answers to what is written.
constexpr absl::Duration kKeepAway = absl::Microseconds(500);
constexpr absl::Duration kKeepAwayWithoutFetches = absl::Milliseconds(2);

}  // namespace

ServiceStore::ServiceStore(std::unique_ptr<transport::Fabric> fabric, const std::string& address,
                           const PageStoreOptions& options, const ServicePlace& place)
    : address_(address),
      place_(place),
      fabric_(std::move(fabric)),
      router_(*fabric_),
      link_(*fabric_, router_, address, options, LinkHandlers(), pins_go_to_),
      callers_drive_(!(options.register_memory && options.credentials.has_value())),
      reconnect_delay_(kFirstReconnect) {
  fabric_->OnClosed(
      [this](transport::PeerId peer, const absl::Status& reason) { router_.Closed(peer, reason); });
}

ServiceStore::~ServiceStore() {
  Stop();
  if (thread_.joinable()) thread_.join();
  // Pins that nobody took give back through the link.
  TakeFetched();
  link_.TakeFetched();
}

absl::Status ServiceStore::Start(absl::Time deadline) {
  PB_RETURN_IF_ERROR(link_.Connect(deadline));
  if (link_.connected()) OnConnected();
  LookAfterHealth();
  thread_ = std::thread([this] { Run(); });
  return absl::OkStatus();
}

void ServiceStore::Stop() {
  {
    absl::MutexLock lock(&mutex_);
    stop_ = true;
    parked_.SignalAll();
  }
  fabric_->Wake();
}

ServiceLink::Handlers ServiceStore::LinkHandlers() {
  return {
      [this](std::uint64_t request, absl::StatusOr<std::vector<LeasedMemory>> leased) {
        OnLeased(request, std::move(leased));
      },
      [this](const absl::Status& reason) { OnClosed(reason); },
  };
}

void ServiceStore::OnLeased(std::uint64_t request,
                            absl::StatusOr<std::vector<LeasedMemory>> leased) {
  answered_now_ = true;
  if (absl::IsUnavailable(leased.status()) && link_.connected()) {  // it said so itself
    health_.Draining();
    LookAfterHealth();
  }
  {
    absl::MutexLock lock(&mutex_);
    const auto wait = lease_waits_.find(request);
    if (wait != lease_waits_.end()) {
      wait->second->outcome = std::move(leased);
      if (waiting_callers_ > 0) answered_.SignalAll();
      return;
    }
  }
  if (!leased.ok()) return;
  std::vector<HoldId> late;
  for (const LeasedMemory& lease : *leased) late.push_back(lease.hold);
  link_.Return(late);
}

void ServiceStore::DeliverFetched() {
  if (!link_.has_fetched()) return;
  answered_now_ = true;
  Deliver(link_.TakeFetched());
}

void ServiceStore::Deliver(FetchedPages fetched) {
  std::vector<FetchResult>& results = fetched.results;
  absl::MutexLock lock(&mutex_);
  stats_.pages_fetched += fetched.pages;
  stats_.bytes_fetched += fetched.bytes;
  stats_.misses += results.size() - fetched.pages;
  pending_fetches_ -= results.size();
  if (results_.empty()) {
    results_ = std::move(results);
  } else {
    std::move(results.begin(), results.end(), std::back_inserter(results_));
  }
  if (waiting_callers_ > 0) answered_.SignalAll();
}

void ServiceStore::OnConnected() {
  health_.Connected(SteadyNow());
  absl::MutexLock lock(&mutex_);
  ++stats_.connections;
}

void ServiceStore::OnClosed(const absl::Status& reason) {
  const absl::Time now = SteadyNow();
  next_reconnect_ = now + kFirstReconnect;
  reconnect_delay_ = kFirstReconnect;
  health_.Lost(now);
  state_.store(ServiceState::kGone);
  absl::MutexLock lock(&mutex_);
  status_ = reason;
  if (!stop_) LogWarning(std::string(reason.message()), "; its pages are missed until it is back");
}

bool ServiceStore::CallersDrive() const {
  if (!callers_drive_ || !status_.ok()) return false;
  const absl::Duration keep_away = pending_fetches_ > 0 ? kKeepAway : kKeepAwayWithoutFetches;
  return waiting_callers_ > 0 || SteadyNow() < callers_turn_ + keep_away;
}

ServiceStore::Ride ServiceStore::TakeSeat() {
  absl::MutexLock lock(&mutex_);
  while (!stop_) {
    const bool others_drive = CallersDrive();
    if (driver_ == Driver::kNobody && (!others_drive || urgent_)) {
      driver_ = Driver::kStoresThread;
      return others_drive ? Ride::kForWhatIsUrgent : Ride::kUntilSomethingHappens;
    }
    parked_.WaitUntil(mutex_, SteadyNow() + kKeepAway);
  }
  return Ride::kNone;
}

void ServiceStore::LeaveSeat() {
  absl::MutexLock lock(&mutex_);
  driver_ = Driver::kNobody;
  if (waiting_callers_ > 0) answered_.SignalAll();
}

void ServiceStore::Run() {
  for (Ride ride = TakeSeat(); ride != Ride::kNone; ride = TakeSeat()) {
    Settle();
    // A Reconnect took the wake-ups that were meant for TakeWork.
    const bool tried = !link_.connected() && Reconnect(SteadyNow());
    if (ride == Ride::kForWhatIsUrgent) {
      fabric_->Progress();
      DeliverFetched();
    } else if (!tried && !answered_now_) {
      Sleep(link_.connected() ? absl::InfiniteFuture() : next_reconnect_);
    }
    LeaveSeat();
  }
  // Of an earlier connection too, whose goodbye is said once nothing of it is held.
  link_.TakeFetched();
  TakeFetched();
  TakeWork();
  link_.Shutdown(SteadyNow() + kShutdown);
}

void ServiceStore::Settle() {
  answered_now_ = false;
  TakeWork();
  link_.Tick(SteadyNow());
  LookAfterHealth();
  DeliverFetched();
}

void ServiceStore::Push() {
  Settle();
  fabric_->Progress();
  DeliverFetched();
}

void ServiceStore::Turn(absl::Time deadline) {
  Settle();
  if (!answered_now_) Sleep(deadline);
}

void ServiceStore::Sleep(absl::Time deadline) {
  const absl::Time end_of_pins =
      link_.holds_pins() ? SteadyNow() + kPinsAfter : absl::InfiniteFuture();
  fabric_->WaitUntil(std::min({deadline, end_of_pins, link_.next_deadline(),
                               health_.next_change(link_.unanswered_since())}));
  link_.Tick(SteadyNow());
  LookAfterHealth();
  DeliverFetched();
}

void ServiceStore::TakeWork() {
  Inbox inbox;
  {
    absl::MutexLock lock(&mutex_);
    inbox = std::exchange(inbox_, {});
    woken_ = false;
    urgent_ = false;
  }
  link_.Return(inbox.returned_leases);
  link_.Unpin(inbox.ended_pins);
  for (Command& command : inbox.commands) command();
  link_.SendUnpins();  // after the next fetch, which so need not wait until the service has read
                       // them
}

bool ServiceStore::Reconnect(absl::Time now) {
  if (now < next_reconnect_) return false;
  if (link_.Connect(now + kReconnectAttempt).ok() && link_.connected()) {
    LogInfo("connected again to the cache service at ", address_);
    OnConnected();
    LookAfterHealth();
    absl::MutexLock lock(&mutex_);
    status_ = absl::OkStatus();
    return true;
  }
  next_reconnect_ = SteadyNow() + reconnect_delay_;
  reconnect_delay_ = std::min(reconnect_delay_ * 2, kSlowestReconnect);
  return true;
}

void ServiceStore::LookAfterHealth() {
  if (ServiceHealth::IsHopeless(link_.unanswered_since(), SteadyNow())) {
    link_.GiveUp(absl::DeadlineExceededError(absl::StrCat(
        "nothing was heard for ", absl::FormatDuration(ServiceHealth::kLongestSilence))));
  }
  health_.Observe(link_.unanswered_since(), SteadyNow());
  const ServiceState before = state_.exchange(health_.state());
  if (before != health_.state()) OnStateChange(before, health_.state());
}

void ServiceStore::OnStateChange(ServiceState before, ServiceState now) {
  if (now == ServiceState::kSilent) {
    const absl::Status silent =
        absl::UnavailableError(absl::StrCat("the cache service at ", address_, " does not answer"));
    LogWarning(std::string(silent.message()));
    if (place_.has_others) TurnAway(silent);
  } else if (before == ServiceState::kSilent && now != ServiceState::kGone) {
    absl::MutexLock lock(&mutex_);
    status_ = absl::OkStatus();
  } else if (now == ServiceState::kDraining) {
    LogInfo("the cache service at ", address_, " is draining");
  }
}

void ServiceStore::TurnAway(const absl::Status& silent) {
  link_.RefuseFetches(silent);
  answered_now_ = true;
  absl::MutexLock lock(&mutex_);
  status_ = silent;
  for (auto& [request, wait] : lease_waits_) {
    if (!wait->outcome.has_value()) wait->outcome = silent;
  }
  if (waiting_callers_ > 0) answered_.SignalAll();
}

}  // namespace pinboard::cache_service
