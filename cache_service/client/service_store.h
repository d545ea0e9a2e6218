// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The PageStore over one service.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/steady_condition.h"
#include "cache_service/client/reply_router.h"
#include "cache_service/client/service_health.h"
#include "cache_service/client/service_link.h"
#include "cache_service/page_store.h"
#include "cache_service/remote_page_store.h"
#include "transport/fabric/fabric.h"

namespace pinboard::cache_service {

/// Among the services of one rank.
struct ServicePlace {
  /// Then nothing waits for this one while it is silent: it is as if it were not connected.
  bool has_others = false;
  /// The names of its leases (PageLease::slab) count from here.
  std::uint64_t first_lease = 0;
};

/// ConnectPageStore says what a rank sees. Connects again when the connection is lost, or worth no
/// more than a new one (ServiceHealth).
class ServiceStore final : public PageStore {
 public:
  ServiceStore(std::unique_ptr<transport::Fabric> fabric, const std::string& address,
               const PageStoreOptions& options, const ServicePlace& place);
  ~ServiceStore() override;

  /// Connects; may be tried again, until it is connected. Then the thread runs.
  absl::Status Start(absl::Time deadline);
  /// The thread is to say goodbye and to end; the destructor waits for it.
  void Stop();

  ServiceState state() const { return state_.load(); }
  /// Whether a fetch is under way, or its results have not been taken.
  bool has_fetches() const;

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
  /// For what is to be sent at once: on the caller's thread where it may drive.
  void Send(Command command);
  void GiveBackLease(HoldId hold);
  void GiveBackPin(HoldId hold);
  /// Of its leases, or of its pins.
  template <void (ServiceStore::*give_back)(HoldId)>
  class GivesBack final : public Releaser {
   public:
    explicit GivesBack(ServiceStore& store) : store_(store) {}
    void Release(std::uint64_t hold) override { (store_.*give_back)(HoldId(hold)); }

   private:
    ServiceStore& store_;
  };
  std::vector<PageLease> MakeLeases(const std::vector<LeasedMemory>& leased);
  absl::Status status() const;

  ServiceLink::Handlers LinkHandlers();
  void OnLeased(std::uint64_t request, absl::StatusOr<std::vector<LeasedMemory>> leased);
  void Deliver(FetchedPages fetched);
  void OnConnected();
  void OnClosed(const absl::Status& reason);

  void LookAfterHealth();
  void OnStateChange(ServiceState before, ServiceState now);
  /// Nothing waits for the service until it is heard.
  void TurnAway(const absl::Status& silent);

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
  bool CallersDrive() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
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
  void DeliverFetched();
  /// Sends what was left for it, without waiting for anything.
  void Push();

  const std::string address_;
  const ServicePlace place_;
  GivesBack<&ServiceStore::GiveBackLease> leases_go_to_{*this};
  GivesBack<&ServiceStore::GiveBackPin> pins_go_to_{*this};
  std::atomic<ServiceState> state_ = ServiceState::kGone;
  mutable absl::Mutex mutex_;
  Inbox inbox_ ABSL_GUARDED_BY(mutex_);
  bool woken_ ABSL_GUARDED_BY(mutex_) = false;   // since the driver last looked into the inbox
  bool urgent_ ABSL_GUARDED_BY(mutex_) = false;  // something in the inbox
  Driver driver_ ABSL_GUARDED_BY(mutex_) = Driver::kNobody;
  absl::Time callers_turn_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();  // the last one
  int waiting_callers_ ABSL_GUARDED_BY(mutex_) = 0;                         // while another drives
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
  bool answered_now_ = false;  // since it last began to Settle
  ServiceHealth health_;

  // Memory that comes later is registered by the store's thread: it may take longer than a caller
  // would wait.
  const bool callers_drive_;
  absl::Time next_reconnect_ = absl::InfinitePast();
  absl::Duration reconnect_delay_;

  std::thread thread_;
};

}  // namespace pinboard::cache_service
