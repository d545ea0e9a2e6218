// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "app/top/service_watcher.h"

#include <utility>

#include "base/clock.h"
#include "base/status_macros.h"
#include "cache_service/client/stats_client.h"
#include "transport/fabric/ucx/ucx_fabric.h"

namespace pinboard::app {
namespace {

constexpr absl::Duration kAnswer = absl::Milliseconds(500);
constexpr absl::Duration kGoodbye = absl::Milliseconds(200);

}  // namespace

ServiceWatcher::ServiceWatcher(std::string service,
                               std::optional<cache_service::Credentials> credentials,
                               absl::Duration interval)
    : service_(std::move(service)), credentials_(std::move(credentials)), interval_(interval) {
  view_.service = service_;
  thread_ = std::thread([this] { Run(); });
}

ServiceWatcher::~ServiceWatcher() {
  {
    absl::MutexLock lock(&mutex_);
    stop_ = true;
  }
  thread_.join();
}

ServiceView ServiceWatcher::view() const {
  absl::MutexLock lock(&mutex_);
  return view_;
}

void ServiceWatcher::Run() {
  do {
    const absl::Status ended = Watch();
    if (ended.ok()) return;
    absl::MutexLock lock(&mutex_);
    view_.before.reset();
    view_.now.reset();
    view_.gone = std::string(ended.message());
  } while (!Pause());
}

absl::Status ServiceWatcher::Watch() {
  PB_ASSIGN_OR_RETURN(auto fabric, transport::MakeUcxFabric());
  PB_ASSIGN_OR_RETURN(const auto client, cache_service::StatsClient::Connect(
                                             std::move(fabric), service_, "pinboard top",
                                             credentials_, SteadyNow() + kAnswer));
  do {
    ServiceSample sample{.service = service_};
    PB_ASSIGN_OR_RETURN(sample.entries, client->Ask(SteadyNow() + kAnswer));
    sample.time = SteadyNow();
    Show(std::move(sample));
  } while (!Pause());
  client->Close(SteadyNow() + kGoodbye);
  return absl::OkStatus();
}

void ServiceWatcher::Show(ServiceSample sample) {
  absl::MutexLock lock(&mutex_);
  view_.before = std::exchange(view_.now, std::move(sample));
  view_.gone.clear();
}

bool ServiceWatcher::Pause() {
  absl::MutexLock lock(&mutex_);
  mutex_.AwaitWithTimeout(absl::Condition(&stop_), interval_);
  return stop_;
}

}  // namespace pinboard::app
