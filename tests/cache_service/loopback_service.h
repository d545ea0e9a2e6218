// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A service on a thread of its own, reached through a hub.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <string>
#include <thread>

#include "absl/time/clock.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "cache_service/remote_page_store.h"
#include "cache_service/server/server.h"
#include "tests/cache_service/metric_value.h"
#include "tests/cache_service/test_pages.h"
#include "transport/fabric/loopback/loopback.h"

namespace pinboard::cache_service {

class LoopbackService {
 public:
  explicit LoopbackService(std::size_t arena_bytes) {
    options_.listen = "loopback:0";
    options_.arena_bytes = arena_bytes;
    options_.segment_bytes = arena_bytes / 2;
    options_.eviction = LowestInformation();
    options_.watermarks = {1, 1};
    Start();
  }
  ~LoopbackService() { Stop(); }

  /// As if its process had been killed, and another one started there.
  void Restart() {
    hub_.Kill(*fabric_);
    Stop();
    options_.listen = server_->address();
    server_.reset();
    Start();
  }

  absl::StatusOr<std::unique_ptr<PageStore>> TryConnect(const PageStoreOptions& options) {
    return ConnectPageStore(
        [this]() -> absl::StatusOr<std::unique_ptr<transport::Fabric>> {
          return hub_.MakeFabric();
        },
        {server_->address()}, options);
  }
  std::unique_ptr<PageStore> Connect(std::uint64_t group) {
    auto store = TryConnect({.group = group, .name = "test"});
    EXPECT_EQ(store.status(), absl::OkStatus());
    return *std::move(store);
  }
  /// A series of /metrics as it is, or 0 where there is none.
  double Metric(const std::string& series) const { return MetricValue(*metrics_, series); }
  void Await(const std::string& series, double value) const {
    const absl::Time give_up = Soon();
    while (Metric(series) != value && SteadyNow() < give_up) absl::SleepFor(absl::Milliseconds(1));
    EXPECT_EQ(Metric(series), value) << series;
  }
  const std::string& address() const { return server_->address(); }
  transport::LoopbackHub& hub() { return hub_; }
  transport::Fabric& fabric() { return *fabric_; }

 private:
  void Start() {
    auto fabric = hub_.MakeFabric();
    fabric_ = fabric.get();
    metrics_ = NewMetricRegistry();
    auto server = Server::Create(std::move(fabric), options_, *metrics_);
    EXPECT_EQ(server.status(), absl::OkStatus());
    server_ = *std::move(server);
    thread_ = std::thread([this] { server_->Run(); });
  }
  void Stop() {
    server_->Stop();
    thread_.join();
  }

  transport::LoopbackHub hub_;
  ServerOptions options_;
  std::unique_ptr<MetricRegistry> metrics_;
  transport::Fabric* fabric_ = nullptr;  // the server's
  std::unique_ptr<Server> server_;
  std::thread thread_;
};

}  // namespace pinboard::cache_service
