// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/client/service_candidate.h"

#include <algorithm>
#include <utility>

#include "base/clock.h"
#include "base/log.h"
#include "base/status_macros.h"

namespace pinboard::cache_service {
namespace {

constexpr absl::Duration kAttempt = absl::Seconds(2);
constexpr absl::Duration kFirstPause = absl::Milliseconds(50);
constexpr absl::Duration kLongestPause = absl::Milliseconds(500);

}  // namespace

ServiceCandidate::ServiceCandidate(FabricFactory make_fabric, std::string address,
                                   PageStoreOptions options, const ServicePlace& place)
    : make_fabric_(std::move(make_fabric)),
      address_(std::move(address)),
      options_(std::move(options)),
      place_(place) {}

ServiceCandidate::~ServiceCandidate() {
  Stop();
  if (thread_.joinable()) thread_.join();
}

absl::Status ServiceCandidate::Connect(absl::Time deadline) {
  if (store_ == nullptr) {
    PB_ASSIGN_OR_RETURN(auto fabric, make_fabric_());
    store_ = std::make_unique<ServiceStore>(std::move(fabric), address_, options_, place_);
  }
  PB_RETURN_IF_ERROR(store_->Start(deadline));
  ready_.store(store_.get());
  return absl::OkStatus();
}

void ServiceCandidate::Begin() {
  if (ready_.load() == nullptr && !thread_.joinable()) thread_ = std::thread([this] { Run(); });
}

void ServiceCandidate::Stop() {
  {
    absl::MutexLock lock(&mutex_);
    stop_ = true;
    stopped_.SignalAll();
  }
  if (ServiceStore* const store = ready_.load()) store->Stop();
}

void ServiceCandidate::Run() {
  absl::Duration pause = kFirstPause;
  while (Pause(absl::ZeroDuration())) {
    const absl::Status connected = Connect(SteadyNow() + kAttempt);
    if (connected.ok()) return;
    LogInfo("no connection yet: ", std::string(connected.message()));
    if (!Pause(pause)) return;
    pause = std::min(2 * pause, kLongestPause);
  }
}

bool ServiceCandidate::Pause(absl::Duration pause) {
  const absl::Time end = SteadyNow() + pause;
  absl::MutexLock lock(&mutex_);
  while (!stop_ && SteadyNow() < end) stopped_.WaitUntil(mutex_, end);
  return !stop_;
}

}  // namespace pinboard::cache_service
