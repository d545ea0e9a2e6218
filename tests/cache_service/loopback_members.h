// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Services of this process that are members of one cluster, joined by a hub that can break them.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "cache_service/remote_page_store.h"
#include "cache_service/server/server.h"
#include "tests/cache_service/test_pages.h"
#include "tests/cache_service/told_membership.h"
#include "transport/fabric/loopback/loopback.h"

namespace pinboard::cache_service {

/// One service, on a thread of its own until Stop.
class LoopbackMember {
 public:
  LoopbackMember(transport::LoopbackHub& hub, const std::string& address,
                 const ServerOptions& options)
      : hub_(hub), membership_(*metrics_) {
    auto fabric = hub.MakeFabric();
    fabric_ = fabric.get();
    ServerOptions listening = options;
    listening.listen = address;
    server_ = *Server::Create(std::move(fabric), listening, *metrics_);
  }
  ~LoopbackMember() { Stop(); }

  Member self() const {
    return {.name = server_->address(),
            .address = server_->address(),
            .incarnation = server_->incarnation()};
  }
  void Start(const std::vector<Member>& members) {
    membership_.Tell(members);
    server_->JoinMembers(membership_, self());
    thread_ = std::thread([this] { server_->Run(); });
  }
  void Stop() {
    if (!thread_.joinable()) return;
    server_->Stop();
    thread_.join();
  }
  void Drain() { server_->Drain(); }
  /// Returns once it has ended by itself.
  void Join() { thread_.join(); }
  ToldMembership& membership() { return membership_; }
  transport::Fabric& fabric() { return *fabric_; }

  std::unique_ptr<PageStore> Connect(std::uint64_t group = 1) {
    auto store = ConnectPageStore(
        [this]() -> absl::StatusOr<std::unique_ptr<transport::Fabric>> {
          return hub_.MakeFabric();
        },
        {server_->address()}, {.group = group, .name = "test"});
    EXPECT_EQ(store.status(), absl::OkStatus());
    return *std::move(store);
  }
  /// A series of its metrics, without the prefix.
  double Count(const std::string& name) const {
    const std::string text = absl::StrCat("\n", metrics_->ExpositionText());
    const std::string start = absl::StrCat("\npinboard_service_", name, " ");
    const std::size_t line = text.find(start);
    double value = -1;
    if (line == std::string::npos) return value;
    const std::size_t begin = line + start.size();
    EXPECT_TRUE(absl::SimpleAtod(text.substr(begin, text.find('\n', begin) - begin), &value));
    return value;
  }
  void Await(const std::string& name, double value) const {
    const absl::Time give_up = Soon();
    double count = Count(name);
    for (; count != value && SteadyNow() < give_up; count = Count(name)) {
      absl::SleepFor(absl::Milliseconds(1));
    }
    EXPECT_EQ(count, value) << name;
  }

 private:
  transport::LoopbackHub& hub_;
  const std::unique_ptr<MetricRegistry> metrics_ = NewMetricRegistry();
  ToldMembership membership_;
  transport::Fabric* fabric_ = nullptr;  // the server's
  std::unique_ptr<Server> server_;
  std::thread thread_;
};

inline void PublishPages(PageStore& store, int pages) {
  for (int page = 0; page < pages; ++page) {
    ASSERT_EQ(PublishTestPage(store, TestPage(page)), absl::OkStatus());
  }
}

class LoopbackMembers {
 public:
  LoopbackMembers(int count, ServerOptions options) : options_(std::move(options)) {
    for (int i = 0; i < count; ++i) Make("loopback:0");
    for (const auto& member : members_) member->Start(All());
    for (const auto& member : members_) member->Await("peers{state=\"up\"}", count - 1);
  }

  /// No check of tags, no waiting for those that are gone.
  static ServerOptions Options(std::uint64_t arena_bytes, int replicas) {
    ServerOptions options;
    options.arena_bytes = arena_bytes;
    options.segment_bytes = arena_bytes;
    options.eviction = LowestInformation();
    options.watermarks = {1, 1};
    options.replication.replicas = replicas;
    options.replication.gone_after = absl::Milliseconds(50);
    options.replication.group_grace = absl::Milliseconds(20);
    options.replication.orphan_timeout = absl::Milliseconds(200);
    options.replication.answer_timeout = absl::Seconds(1);
    return options;
  }

  LoopbackMember& operator[](int member) { return *members_[member]; }
  transport::LoopbackHub& hub() { return hub_; }
  std::vector<Member> All() const {
    std::vector<Member> all;
    for (const auto& member : members_) all.push_back(member->self());
    return all;
  }
  /// As if its process had been killed.
  void Kill(int member) {
    hub_.Kill(members_[member]->fabric());
    members_[member]->Stop();
  }

 private:
  void Make(const std::string& address) {
    members_.push_back(std::make_unique<LoopbackMember>(hub_, address, options_));
  }

  const ServerOptions options_;
  transport::LoopbackHub hub_;
  std::vector<std::unique_ptr<LoopbackMember>> members_;
};

}  // namespace pinboard::cache_service
