// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/remote_page_store.h"

#include <algorithm>
#include <random>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/clock.h"
#include "base/status_macros.h"
#include "cache_service/client/service_candidate.h"
#include "cache_service/client/service_store.h"

namespace pinboard::cache_service {
namespace {

// A lease's name says which service it is of.
constexpr int kLeaseNameBits = 48;
// Where fetches of two services are under way, each is waited for in turn.
constexpr absl::Duration kTurn = absl::Milliseconds(1);

bool IsNoAnswer(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status);
}

/// Over several services; the first that serves is asked.
class ServicesStore final : public PageStore {
 public:
  ServicesStore(const FabricFactory& make_fabric, const std::vector<std::string>& addresses,
                const PageStoreOptions& options) {
    for (std::size_t i = 0; i < addresses.size(); ++i) {
      const ServicePlace place{.has_others = true,
                               .first_lease = std::uint64_t{i} << kLeaseNameBits};
      services_.push_back(
          std::make_unique<ServiceCandidate>(make_fabric, addresses[i], options, place));
    }
  }
  ~ServicesStore() override {
    for (const auto& service : services_) service->Stop();
  }

  /// The first that answers is connected afterwards.
  absl::Status Start(absl::Duration timeout);

  absl::StatusOr<std::vector<PageLease>> Lease(int count, std::size_t bytes,
                                               absl::Time deadline) override;
  void Publish(std::vector<PageLease> leases, absl::Span<const PageHeader> headers) override;
  void Fetch(absl::Span<const PageRef> pages, absl::Time deadline) override {
    services_[Choose()]->store()->Fetch(pages, deadline);
  }
  std::vector<FetchResult> TakeFetched() override;
  bool WaitFetched(absl::Time deadline) override;
  void Drop(absl::Span<const PageRef> pages) override {
    for (ServiceStore* const store : Stores()) store->Drop(pages);
  }
  void DropSequence(std::uint64_t sequence) override {
    for (ServiceStore* const store : Stores()) store->DropSequence(sequence);
  }
  PageStoreStats stats() const override;

 private:
  /// Which to ask; it has a store.
  std::size_t Choose();
  /// Of the services that were ever connected.
  std::vector<ServiceStore*> Stores() const;

  std::vector<std::unique_ptr<ServiceCandidate>> services_;  // in the order of preference
};

absl::Status ServicesStore::Start(absl::Duration timeout) {
  std::vector<std::string> failures;
  for (const auto& service : services_) {
    absl::Status connected = service->Connect(SteadyNow() + timeout);
    if (!IsNoAnswer(connected)) return connected;
    failures.emplace_back(connected.message());
  }
  return absl::UnavailableError(absl::StrCat(
      "none of ", failures.size(), " cache services answers: ", absl::StrJoin(failures, "; ")));
}

/// The first that serves, else the first in the best state. Those after it stay unconnected.
std::size_t ServicesStore::Choose() {
  std::size_t best = services_.size();
  for (std::size_t i = 0; i < services_.size(); ++i) {
    services_[i]->Begin();
    if (services_[i]->store() == nullptr) continue;
    if (best == services_.size() || services_[i]->state() < services_[best]->state()) best = i;
    if (services_[best]->state() == ServiceState::kServing) break;
  }
  return best;
}

std::vector<ServiceStore*> ServicesStore::Stores() const {
  std::vector<ServiceStore*> stores;
  for (const auto& service : services_) {
    if (service->store() != nullptr) stores.push_back(service->store());
  }
  return stores;
}

absl::StatusOr<std::vector<PageLease>> ServicesStore::Lease(int count, std::size_t bytes,
                                                            absl::Time deadline) {
  std::size_t asked = Choose();
  auto leases = services_[asked]->store()->Lease(count, bytes, deadline);
  // It may be unavailable from now on: then another is asked, within the same deadline.
  for (std::size_t others = services_.size() - 1; absl::IsUnavailable(leases.status()); --others) {
    const std::size_t next = Choose();
    if (others == 0 || next == asked) break;
    asked = next;
    leases = services_[asked]->store()->Lease(count, bytes, deadline);
  }
  return leases;
}

void ServicesStore::Publish(std::vector<PageLease> leases, absl::Span<const PageHeader> headers) {
  struct Part {
    std::vector<PageLease> leases;
    std::vector<PageHeader> headers;
  };
  std::vector<Part> parts(services_.size());
  for (std::size_t i = 0; i < std::min(leases.size(), headers.size()); ++i) {
    Part& part = parts[leases[i].slab() >> kLeaseNameBits];
    part.leases.push_back(std::move(leases[i]));
    part.headers.push_back(headers[i]);
  }
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (parts[i].leases.empty()) continue;
    services_[i]->store()->Publish(std::move(parts[i].leases), parts[i].headers);
  }
}

std::vector<FetchResult> ServicesStore::TakeFetched() {
  std::vector<FetchResult> all;
  for (ServiceStore* const store : Stores()) {
    for (FetchResult& result : store->TakeFetched()) all.push_back(std::move(result));
  }
  return all;
}

bool ServicesStore::WaitFetched(absl::Time deadline) {
  while (true) {
    std::vector<ServiceStore*> busy = Stores();
    std::erase_if(busy, [](const ServiceStore* store) { return !store->has_fetches(); });
    if (busy.empty()) return false;
    if (busy.size() == 1) return busy.front()->WaitFetched(deadline);
    for (ServiceStore* const store : busy) {
      if (store->WaitFetched(std::min(deadline, SteadyNow() + kTurn))) return true;
    }
    if (SteadyNow() >= deadline) return false;
  }
}

PageStoreStats ServicesStore::stats() const {
  PageStoreStats sum;
  for (const ServiceStore* const store : Stores()) {
    const PageStoreStats stats = store->stats();
    sum.pages_published += stats.pages_published;
    sum.pages_fetched += stats.pages_fetched;
    sum.bytes_published += stats.bytes_published;
    sum.bytes_fetched += stats.bytes_fetched;
    sum.misses += stats.misses;
    sum.connections += stats.connections;
    sum.protocol_errors += stats.protocol_errors;
  }
  return sum;
}

}  // namespace

std::uint64_t NewGroupId() {
  std::random_device device;
  return std::uint64_t{device()} << 32 | device();
}

absl::StatusOr<std::unique_ptr<PageStore>> ConnectPageStore(
    const FabricFactory& make_fabric, const std::vector<std::string>& addresses,
    const PageStoreOptions& options) {
  if (addresses.empty()) return absl::InvalidArgumentError("no address of a cache service");
  if (addresses.size() == 1) {
    PB_ASSIGN_OR_RETURN(auto fabric, make_fabric());
    auto store = std::make_unique<ServiceStore>(std::move(fabric), addresses.front(), options,
                                                ServicePlace{});
    PB_RETURN_IF_ERROR(store->Start(SteadyNow() + options.connect_timeout));
    return store;
  }
  auto store = std::make_unique<ServicesStore>(make_fabric, addresses, options);
  PB_RETURN_IF_ERROR(store->Start(options.connect_timeout));
  return store;
}

}  // namespace pinboard::cache_service
