// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The rank's half of ServiceStore: its calls.
#include "cache_service/client/service_store.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/status_macros.h"

namespace pinboard::cache_service {
namespace {

// Ends of pins go out together: with the next command, when there are this many, or after a while.
constexpr std::size_t kPinsTogether = 256;

}  // namespace

template <typename Leave>
void ServiceStore::LeaveForDriver(Urgency urgency, Leave leave) {
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

void ServiceStore::Enqueue(Urgency urgency, Command command) {
  LeaveForDriver(urgency, [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    inbox_.commands.push_back(std::move(command));
    return true;
  });
}

void ServiceStore::Send(Command command) {
  {
    absl::MutexLock lock(&mutex_);
    callers_turn_ = SteadyNow();  // where it is not theirs yet, the next one is
    if (Vacant()) {
      inbox_.commands.push_back(std::move(command));
      return Drive([this] { Push(); });
    }
  }
  Enqueue(Urgency::kNow, std::move(command));
}

void ServiceStore::GiveBackLease(HoldId hold) {
  LeaveForDriver(Urgency::kSoon, [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    inbox_.returned_leases.push_back(hold);
    return true;
  });
}

void ServiceStore::GiveBackPin(HoldId hold) {
  LeaveForDriver(Urgency::kSoon, [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    inbox_.ended_pins.push_back(hold);
    return inbox_.ended_pins.size() == kPinsTogether;
  });
}

template <typename Work>
void ServiceStore::Drive(Work work) {
  driver_ = Driver::kCaller;
  mutex_.Unlock();
  work();
  mutex_.Lock();
  driver_ = Driver::kNobody;
  callers_turn_ = SteadyNow();
}

template <typename Done>
void ServiceStore::WaitFor(Done done, absl::Time deadline) {
  while (!done() && SteadyNow() < deadline) {
    if (Vacant()) {
      Drive([this, deadline] { Turn(deadline); });
    } else {
      ++waiting_callers_;
      answered_.WaitUntil(mutex_, deadline);
      --waiting_callers_;
    }
  }
}

std::vector<PageLease> ServiceStore::MakeLeases(const std::vector<LeasedMemory>& leased) {
  std::vector<PageLease> leases;
  leases.reserve(leased.size());
  for (const auto& [hold, memory] : leased) {
    leases.emplace_back(memory, place_.first_lease + hold.value(),
                        Holding(leases_go_to_, hold.value()));
  }
  return leases;
}

absl::Status ServiceStore::status() const {
  absl::MutexLock lock(&mutex_);
  return status_;
}

absl::StatusOr<std::vector<PageLease>> ServiceStore::Lease(int count, std::size_t bytes,
                                                           absl::Time deadline) {
  static_assert(kMostLeasedTogether == kMaxListElements);
  if (count < 0 || count > kMostLeasedTogether) {
    return absl::InvalidArgumentError(
        absl::StrCat("a lease of ", count, " pages: 0 to ", kMostLeasedTogether, " at a time"));
  }
  PB_RETURN_IF_ERROR(status());
  const std::vector<LeasedMemory> ahead = link_.TakeAhead(count, bytes);
  if (!ahead.empty()) {
    Send([this, count, bytes] { link_.TookAhead(count, bytes); });
    return MakeLeases(ahead);
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
  return MakeLeases(**wait.outcome);
}

void ServiceStore::Publish(std::vector<PageLease> leases, absl::Span<const PageHeader> headers) {
  if (!status().ok()) return;
  std::vector<PageToPublish> pages;
  pages.reserve(leases.size());
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < std::min(leases.size(), headers.size()); ++i) {
    const PageHeader& header = headers[i];
    if (header.bytes == 0 || header.bytes > leases[i].memory().size()) continue;
    pages.push_back({HoldId(leases[i].slab() - place_.first_lease), header});
    bytes += header.bytes;
    leases[i].Forget();
  }
  {
    absl::MutexLock lock(&mutex_);
    stats_.pages_published += pages.size();
    stats_.bytes_published += bytes;
  }
  Send([this, pages = std::move(pages)]() mutable { link_.Publish(std::move(pages)); });
}

void ServiceStore::Fetch(absl::Span<const PageRef> pages, absl::Time deadline) {
  absl::Status status;
  {
    absl::MutexLock lock(&mutex_);
    status = status_;
    pending_fetches_ += pages.size();
  }
  if (!status.ok()) {
    FetchedPages missed;
    for (const PageRef& page : pages) missed.results.emplace_back(page, FetchedHeader{}, status);
    Deliver(std::move(missed));
    return;
  }
  Enqueue(Urgency::kSoon, [this, asked = std::vector<PageRef>(pages.begin(), pages.end()),
                           deadline]() mutable { link_.Fetch(std::move(asked), deadline); });
  absl::MutexLock lock(&mutex_);
  if (Vacant()) Drive([this] { Settle(); });
}

std::vector<FetchResult> ServiceStore::TakeFetched() {
  absl::MutexLock lock(&mutex_);
  return std::exchange(results_, {});
}

bool ServiceStore::WaitFetched(absl::Time deadline) {
  absl::MutexLock lock(&mutex_);
  WaitFor([this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(
              mutex_) { return !results_.empty() || pending_fetches_ == 0; },
          deadline);
  return !results_.empty();
}

bool ServiceStore::has_fetches() const {
  absl::MutexLock lock(&mutex_);
  return pending_fetches_ > 0 || !results_.empty();
}

void ServiceStore::Drop(absl::Span<const PageRef> pages) {
  Enqueue(Urgency::kNow, [this, dropped = std::vector<PageRef>(pages.begin(), pages.end())] {
    link_.Drop(dropped);
  });
}

void ServiceStore::DropSequence(std::uint64_t sequence) {
  Enqueue(Urgency::kNow, [this, sequence] { link_.DropSequence(sequence); });
}

PageStoreStats ServiceStore::stats() const {
  PageStoreStats stats;
  {
    absl::MutexLock lock(&mutex_);
    stats = stats_;
  }
  stats.protocol_errors = link_.protocol_errors();
  return stats;
}

}  // namespace pinboard::cache_service
