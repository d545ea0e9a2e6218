// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/remote_page_store.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/functional/any_invocable.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "base/steady_condition.h"
#include "cache_service/client/reply_router.h"
#include "cache_service/client/service_link.h"

namespace pinboard::cache_service {
namespace {

constexpr absl::Duration kFirstReconnect = absl::Milliseconds(50);
constexpr absl::Duration kSlowestReconnect = absl::Seconds(2);
constexpr absl::Duration kReconnectAttempt = absl::Milliseconds(250);
// Without its goodbye the service keeps what this process held until the process ends.
constexpr absl::Duration kShutdown = absl::Seconds(1);
// Ends of pins go out together: with the next command, when there are this many, or after a while.
constexpr std::size_t kPinsTogether = 256;
constexpr absl::Duration kPinsAfter = absl::Milliseconds(2);
// The store's thread keeps away from the fabric while callers who wait use it more often than this.
constexpr absl::Duration kKeepAway = absl::Microseconds(500);

class RemotePageStore final : public PageStore {
 public:
  RemotePageStore(std::unique_ptr<transport::Fabric> fabric, const std::string& address,
                  const PageStoreOptions& options)
      : address_(address),
        fabric_(std::move(fabric)),
        router_(*fabric_),
        link_(*fabric_, router_, address, options, LinkHandlers()),
        callers_drive_(!(options.register_memory && options.credentials.has_value())) {
    fabric_->OnClosed(
        [this](transport::PeerId peer, absl::Status reason) { router_.Closed(peer, reason); });
  }

  ~RemotePageStore() override {
    {
      absl::MutexLock lock(&mutex_);
      stop_ = true;
      parked_.SignalAll();
    }
    fabric_->Wake();
    if (thread_.joinable()) thread_.join();
    TakeFetched();  // pins that nobody took give back through the link
    arrived_.clear();
  }

  absl::Status Start(absl::Time deadline) {
    PB_RETURN_IF_ERROR(link_.Connect(deadline));
    thread_ = std::thread([this] { Run(); });
    return absl::OkStatus();
  }

  absl::StatusOr<std::vector<PageLease>> Lease(int count, std::size_t bytes,
                                               absl::Time deadline) override;
  void Publish(std::vector<PageLease> leases, absl::Span<const PageHeader> headers) override;
  void Fetch(absl::Span<const PageRef> pages, absl::Time deadline) override;
  std::vector<FetchResult> TakeFetched() override;
  bool WaitFetched(absl::Time deadline) override;
  void Drop(absl::Span<const PageRef> pages) override;
  void DropSequence(std::uint64_t sequence) override;
  PageStoreStats stats() const override;

 private:
  using Command = absl::AnyInvocable<void()>;
  /// Who has the fabric and all that is marked with it, one at a time: the store's thread, or the
  /// rank's while it waits anyway, which spares it two hand-overs between threads.
  enum class Driver : std::uint8_t { kNobody, kStoresThread, kCaller };
  enum class Urgency : std::uint8_t { kSoon, kNow };
  /// What the rank's thread leaves for who drives next.
  struct Inbox {
    std::vector<Command> commands;
    std::vector<HoldId> returned_leases;
    std::vector<HoldId> ended_pins;
  };
  /// A call of Lease that waits; on its stack.
  struct LeaseWait {
    std::optional<absl::StatusOr<std::vector<LeasedMemory>>> outcome;
  };

  /// `leave` says whether the driver must be woken for it, and what is to be done if there is none.
  template <typename Leave>
  void LeaveForDriver(Urgency urgency, Leave leave);
  void Enqueue(Urgency urgency, Command command);
  void GiveBackLease(HoldId hold);
  void GiveBackPin(HoldId hold);
  PageLease MakeLease(const LeasedMemory& leased);
  PagePin MakePin(FetchedMemory fetched);
  absl::Status status() const;

  ServiceLink::Handlers LinkHandlers();
  void OnLeased(std::uint64_t request, absl::StatusOr<std::vector<LeasedMemory>> leased);
  void OnFetched(const PageRef& page, const PageHeader& header,
                 absl::StatusOr<FetchedMemory> memory);
  void Deliver(std::vector<FetchResult> results);
  void OnClosed(const absl::Status& reason);

  /// Whether a caller may drive now.
  bool Vacant() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return driver_ == Driver::kNobody && callers_drive_ && status_.ok();
  }
  /// Runs `work` as the driver.
  template <typename Work>
  void Drive(Work work) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  /// Until `done`, or the deadline.
  template <typename Done>
  void WaitFor(Done done, absl::Time deadline) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // The store's thread.
  /// Waits for its time to drive; what for.
  enum class Ride : std::uint8_t { kUntilSomethingHappens, kForWhatIsUrgent, kNone };
  Ride TakeSeat();
  void LeaveSeat();
  void Run();
  /// False: it is not time yet.
  bool Reconnect(absl::Time now);

  // The driver.
  void TakeWork();
  /// Does what was left for it, and what is due.
  void Settle();
  /// The same; then, unless that has answered something, sleeps until something happens.
  void Turn(absl::Time deadline);
  void Sleep(absl::Time deadline);
  void DeliverArrived();

  const std::string address_;
  mutable absl::Mutex mutex_;
  Inbox inbox_ ABSL_GUARDED_BY(mutex_);
  bool woken_ ABSL_GUARDED_BY(mutex_) = false;   // since the driver last looked into the inbox
  bool urgent_ ABSL_GUARDED_BY(mutex_) = false;  // something in the inbox
  Driver driver_ ABSL_GUARDED_BY(mutex_) = Driver::kNobody;
  std::uint64_t callers_turns_ ABSL_GUARDED_BY(mutex_) = 0;
  std::uint64_t turns_seen_ ABSL_GUARDED_BY(mutex_) = 0;  // of these, by the store's thread
  int waiting_callers_ ABSL_GUARDED_BY(mutex_) = 0;       // while another drives
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
  std::uint64_t next_lease_ ABSL_GUARDED_BY(mutex_) = 1;
  absl::flat_hash_map<std::uint64_t, LeaseWait*> lease_waits_ ABSL_GUARDED_BY(mutex_);
  std::vector<FetchResult> results_ ABSL_GUARDED_BY(mutex_);
  std::size_t pending_fetches_ ABSL_GUARDED_BY(mutex_) = 0;
  PageStoreStats stats_ ABSL_GUARDED_BY(mutex_);
  SteadyCondition answered_;  // an outcome in lease_waits_, results_, or nobody drives
  SteadyCondition parked_;    // the store's thread, while it leaves the fabric to callers

  // The driver's, once the thread runs.
  const std::unique_ptr<transport::Fabric> fabric_;
  ReplyRouter router_;
  ServiceLink link_;
  std::vector<FetchResult> arrived_;  // to be delivered together
  bool answered_now_ = false;         // since it last began to Settle

  // Memory that comes later is registered by the store's thread: it may take longer than a caller
  // would wait.
  const bool callers_drive_;
  absl::Time next_reconnect_ = absl::InfinitePast();
  absl::Duration reconnect_delay_ = kFirstReconnect;

  std::thread thread_;
};

template <typename Leave>
void RemotePageStore::LeaveForDriver(Urgency urgency, Leave leave) {
  bool wake = false;
  {
    absl::MutexLock lock(&mutex_);
    if (!leave()) return;
    if (driver_ != Driver::kNobody) {
      wake = !std::exchange(woken_, true);
    } else if (urgency == Urgency::kNow && !std::exchange(urgent_, true)) {
      parked_.SignalAll();
    }
  }
  if (wake) fabric_->Wake();
}

void RemotePageStore::Enqueue(Urgency urgency, Command command) {
  LeaveForDriver(urgency, [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    inbox_.commands.push_back(std::move(command));
    return true;
  });
}

void RemotePageStore::GiveBackLease(HoldId hold) {
  LeaveForDriver(Urgency::kSoon, [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    inbox_.returned_leases.push_back(hold);
    return true;
  });
}

void RemotePageStore::GiveBackPin(HoldId hold) {
  LeaveForDriver(Urgency::kSoon, [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    inbox_.ended_pins.push_back(hold);
    return inbox_.ended_pins.size() == kPinsTogether;
  });
}

template <typename Work>
void RemotePageStore::Drive(Work work) {
  driver_ = Driver::kCaller;
  mutex_.Unlock();
  work();
  mutex_.Lock();
  driver_ = Driver::kNobody;
}

template <typename Done>
void RemotePageStore::WaitFor(Done done, absl::Time deadline) {
  while (!done() && SteadyNow() < deadline) {
    if (Vacant()) {
      Drive([this, deadline] { Turn(deadline); });
      ++callers_turns_;
    } else {
      ++waiting_callers_;
      answered_.WaitUntil(mutex_, deadline);
      --waiting_callers_;
    }
  }
}

PageLease RemotePageStore::MakeLease(const LeasedMemory& leased) {
  return PageLease(leased.memory, leased.hold.value(),
                   [this, hold = leased.hold] { GiveBackLease(hold); });
}

PagePin RemotePageStore::MakePin(FetchedMemory fetched) {
  if (!fetched.hold.has_value()) {
    return PagePin(fetched.bytes, [copy = std::move(fetched.copy)] {});
  }
  return PagePin(fetched.bytes, [this, hold = *fetched.hold] { GiveBackPin(hold); });
}

absl::Status RemotePageStore::status() const {
  absl::MutexLock lock(&mutex_);
  return status_;
}

absl::StatusOr<std::vector<PageLease>> RemotePageStore::Lease(int count, std::size_t bytes,
                                                              absl::Time deadline) {
  if (count < 0 || static_cast<std::uint32_t>(count) > kMaxListElements) {
    return absl::InvalidArgumentError(
        absl::StrCat("a lease of ", count, " pages: 0 to ", kMaxListElements, " at a time"));
  }
  LeaseWait wait;
  std::uint64_t request = 0;
  {
    absl::MutexLock lock(&mutex_);
    PB_RETURN_IF_ERROR(status_);
    request = next_lease_++;
    lease_waits_[request] = &wait;
  }
  Enqueue(Urgency::kSoon, [this, request, count, bytes] { link_.Lease(request, count, bytes); });
  absl::MutexLock lock(&mutex_);
  WaitFor([&wait] { return wait.outcome.has_value(); }, deadline);
  lease_waits_.erase(request);
  if (!wait.outcome.has_value()) {
    return absl::DeadlineExceededError(
        absl::StrCat("the cache service at ", address_, " granted no lease in time"));
  }
  PB_RETURN_IF_ERROR(wait.outcome->status());
  std::vector<PageLease> leases;
  leases.reserve((*wait.outcome)->size());
  for (const LeasedMemory& leased : **wait.outcome) leases.push_back(MakeLease(leased));
  return leases;
}

void RemotePageStore::Publish(std::vector<PageLease> leases, absl::Span<const PageHeader> headers) {
  if (!status().ok()) return;
  std::vector<PageToPublish> pages;
  pages.reserve(leases.size());
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < std::min(leases.size(), headers.size()); ++i) {
    const PageHeader& header = headers[i];
    if (header.bytes == 0 || header.bytes > leases[i].memory().size()) continue;
    pages.push_back({HoldId(leases[i].slab()), header});
    bytes += header.bytes;
    leases[i].Forget();
  }
  {
    absl::MutexLock lock(&mutex_);
    stats_.pages_published += pages.size();
    stats_.bytes_published += bytes;
  }
  Enqueue(Urgency::kNow,
          [this, pages = std::move(pages)]() mutable { link_.Publish(std::move(pages)); });
}

void RemotePageStore::Fetch(absl::Span<const PageRef> pages, absl::Time deadline) {
  absl::Status status;
  {
    absl::MutexLock lock(&mutex_);
    status = status_;
    pending_fetches_ += pages.size();
  }
  if (!status.ok()) {
    std::vector<FetchResult> missed;
    for (const PageRef& page : pages) missed.push_back({page, {}, status});
    Deliver(std::move(missed));
    return;
  }
  Enqueue(Urgency::kSoon,
          [this, asked = std::vector<PageRef>(pages.begin(), pages.end()), deadline] {
            arrived_.reserve(arrived_.size() + asked.size());
            link_.Fetch(asked, deadline);
          });
  absl::MutexLock lock(&mutex_);
  if (Vacant()) Drive([this] { Settle(); });
}

std::vector<FetchResult> RemotePageStore::TakeFetched() {
  absl::MutexLock lock(&mutex_);
  return std::exchange(results_, {});
}

bool RemotePageStore::WaitFetched(absl::Time deadline) {
  absl::MutexLock lock(&mutex_);
  WaitFor([this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(
              mutex_) { return !results_.empty() || pending_fetches_ == 0; },
          deadline);
  return !results_.empty();
}

void RemotePageStore::Drop(absl::Span<const PageRef> pages) {
  Enqueue(Urgency::kNow, [this, dropped = std::vector<PageRef>(pages.begin(), pages.end())] {
    link_.Drop(dropped);
  });
}

void RemotePageStore::DropSequence(std::uint64_t sequence) {
  Enqueue(Urgency::kNow, [this, sequence] { link_.DropSequence(sequence); });
}

PageStoreStats RemotePageStore::stats() const {
  absl::MutexLock lock(&mutex_);
  return stats_;
}

ServiceLink::Handlers RemotePageStore::LinkHandlers() {
  return {
      [this](std::uint64_t request, absl::StatusOr<std::vector<LeasedMemory>> leased) {
        OnLeased(request, std::move(leased));
      },
      [this](const PageRef& page, const PageHeader& header, absl::StatusOr<FetchedMemory> memory) {
        OnFetched(page, header, std::move(memory));
      },
      [this](const absl::Status& reason) { OnClosed(reason); },
  };
}

void RemotePageStore::OnLeased(std::uint64_t request,
                               absl::StatusOr<std::vector<LeasedMemory>> leased) {
  answered_now_ = true;
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

void RemotePageStore::OnFetched(const PageRef& page, const PageHeader& header,
                                absl::StatusOr<FetchedMemory> memory) {
  FetchResult& result = arrived_.emplace_back(FetchResult{page, header});
  if (memory.ok()) {
    result.pin = MakePin(*std::move(memory));
  } else {
    result.pin = memory.status();
  }
}

void RemotePageStore::DeliverArrived() {
  if (arrived_.empty()) return;
  answered_now_ = true;
  Deliver(std::exchange(arrived_, {}));
}

void RemotePageStore::Deliver(std::vector<FetchResult> results) {
  absl::MutexLock lock(&mutex_);
  for (const FetchResult& result : results) {
    if (result.pin.ok()) {
      ++stats_.pages_fetched;
      stats_.bytes_fetched += result.header.bytes;
    } else {
      ++stats_.misses;
    }
  }
  pending_fetches_ -= results.size();
  if (results_.empty()) {
    results_ = std::move(results);
  } else {
    std::move(results.begin(), results.end(), std::back_inserter(results_));
  }
  if (waiting_callers_ > 0) answered_.SignalAll();
}

void RemotePageStore::OnClosed(const absl::Status& reason) {
  next_reconnect_ = SteadyNow() + kFirstReconnect;
  reconnect_delay_ = kFirstReconnect;
  absl::MutexLock lock(&mutex_);
  status_ = reason;
  if (!stop_) LogWarning(std::string(reason.message()), "; pages are missed until it is back");
}

RemotePageStore::Ride RemotePageStore::TakeSeat() {
  absl::MutexLock lock(&mutex_);
  while (!stop_) {
    const bool others_drive =
        callers_drive_ && status_.ok() && (callers_turns_ != turns_seen_ || waiting_callers_ > 0);
    turns_seen_ = callers_turns_;
    if (driver_ == Driver::kNobody && (!others_drive || urgent_)) {
      driver_ = Driver::kStoresThread;
      return others_drive ? Ride::kForWhatIsUrgent : Ride::kUntilSomethingHappens;
    }
    parked_.WaitUntil(mutex_, SteadyNow() + kKeepAway);
  }
  return Ride::kNone;
}

void RemotePageStore::LeaveSeat() {
  absl::MutexLock lock(&mutex_);
  driver_ = Driver::kNobody;
  if (waiting_callers_ > 0) answered_.SignalAll();
}

void RemotePageStore::Run() {
  for (Ride ride = TakeSeat(); ride != Ride::kNone; ride = TakeSeat()) {
    Settle();
    // A Reconnect took the wake-ups that were meant for TakeWork.
    const bool tried = !link_.connected() && Reconnect(SteadyNow());
    if (ride == Ride::kForWhatIsUrgent) {
      fabric_->Progress();
      DeliverArrived();
    } else if (!tried && !answered_now_) {
      Sleep(link_.connected() ? absl::InfiniteFuture() : next_reconnect_);
    }
    LeaveSeat();
  }
  TakeWork();
  link_.Shutdown(SteadyNow() + kShutdown);
}

void RemotePageStore::Settle() {
  answered_now_ = false;
  TakeWork();
  link_.Tick(SteadyNow());
  DeliverArrived();
}

void RemotePageStore::Turn(absl::Time deadline) {
  Settle();
  if (!answered_now_) Sleep(deadline);
}

void RemotePageStore::Sleep(absl::Time deadline) {
  const absl::Time end_of_pins =
      link_.holds_pins() ? SteadyNow() + kPinsAfter : absl::InfiniteFuture();
  fabric_->WaitUntil(std::min({deadline, end_of_pins, link_.next_deadline()}));
  link_.Tick(SteadyNow());
  DeliverArrived();
}

void RemotePageStore::TakeWork() {
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
}

bool RemotePageStore::Reconnect(absl::Time now) {
  if (now < next_reconnect_) return false;
  if (link_.Connect(now + kReconnectAttempt).ok() && link_.connected()) {
    LogInfo("connected again to the cache service at ", address_);
    absl::MutexLock lock(&mutex_);
    status_ = absl::OkStatus();
    return true;
  }
  next_reconnect_ = SteadyNow() + reconnect_delay_;
  reconnect_delay_ = std::min(reconnect_delay_ * 2, kSlowestReconnect);
  return true;
}

}  // namespace

std::uint64_t NewGroupId() {
  std::random_device device;
  return std::uint64_t{device()} << 32 | device();
}

absl::StatusOr<std::unique_ptr<PageStore>> ConnectPageStore(const FabricFactory& make_fabric,
                                                            const std::string& address,
                                                            const PageStoreOptions& options) {
  PB_ASSIGN_OR_RETURN(auto fabric, make_fabric());
  auto store = std::make_unique<RemotePageStore>(std::move(fabric), address, options);
  PB_RETURN_IF_ERROR(store->Start(SteadyNow() + options.connect_timeout));
  return store;
}

}  // namespace pinboard::cache_service
