// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A real etcd, and waiting for what a Membership sees.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "base/clock.h"
#include "cache_service/membership/etcd/http_client.h"
#include "cache_service/membership/etcd_membership.h"
#include "tests/cache_service/child_process.h"
#include "tests/support/free_port.h"
#include "tests/support/temporary_folder.h"

namespace pinboard::cache_service {

/// How long a test waits for what must come; only a failure takes so long.
inline constexpr absl::Duration kPatience = absl::Seconds(30);

inline constexpr char kEtcd[] = "/usr/bin/etcd";
inline bool HaveEtcd() { return access(kEtcd, X_OK) == 0; }

/// One etcd on loopback ports and with data of its own; it dies with the test.
class EtcdServer {
 public:
  /// `tls`: of the test's client, where the arguments ask for https.
  explicit EtcdServer(std::vector<std::string> arguments = {}, etcd::TlsFiles tls = {},
                      const std::string& scheme = "http")
      : arguments_(std::move(arguments)),
        endpoint_(scheme + "://" + FreeLoopbackAddress()),
        peer_("http://" + FreeLoopbackAddress()),
        http_(*etcd::MakeHttpClient(tls)) {
    Start();
  }

  const std::string& endpoint() const { return endpoint_; }

  /// Returns when it serves.
  void Start() {
    const std::string folder = folder_.path();
    std::vector<std::string> command = {"/usr/bin/setpriv",
                                        "--pdeathsig",
                                        "KILL",
                                        kEtcd,
                                        "--data-dir",
                                        folder + "/data",
                                        "--listen-client-urls",
                                        endpoint_,
                                        "--advertise-client-urls",
                                        endpoint_,
                                        "--listen-peer-urls",
                                        peer_,
                                        "--initial-advertise-peer-urls",
                                        peer_,
                                        "--initial-cluster",
                                        "default=" + peer_,
                                        "--logger",
                                        "zap",
                                        "--log-level",
                                        "error",
                                        "--log-outputs",
                                        folder + "/log",
                                        "--heartbeat-interval",
                                        "10",
                                        "--election-timeout",
                                        "100"};
    command.insert(command.end(), arguments_.begin(), arguments_.end());
    process_.emplace(command);
    const absl::Time deadline = absl::Now() + kPatience;
    while (
        !http_->Post({.url = endpoint_ + "/v3/maintenance/status", .body = "{}"}, kPatience).ok()) {
      if (!process_->IsRunning() || absl::Now() > deadline) {
        std::ifstream log(folder + "/log");
        FAIL() << "etcd does not start: " << std::string(std::istreambuf_iterator<char>(log), {});
      }
      http_->Sleep(absl::Milliseconds(10));
    }
  }
  void Stop() {
    process_->Signal(SIGTERM);
    process_->Wait();
    process_.reset();
  }
  void DeleteData() { std::filesystem::remove_all(folder_.path() + "/data"); }
  const ChildProcess& process() const { return *process_; }

  /// The answer to a request as any other client would send it.
  etcd::HttpAnswer Ask(const std::string& path, const std::string& body,
                       const std::string& token = "") {
    const auto answer =
        http_->Post({.url = endpoint_ + path, .authorization = token, .body = body}, kPatience);
    EXPECT_EQ(answer.status(), absl::OkStatus());
    return answer.ok() ? *answer : etcd::HttpAnswer();
  }

 private:
  const std::vector<std::string> arguments_;
  const std::string endpoint_;
  const std::string peer_;
  const TemporaryFolder folder_;
  const std::unique_ptr<etcd::HttpClient> http_;
  std::optional<ChildProcess> process_;
};

/// A membership that can be waited for, and its metrics.
class WatchedMembership {
 public:
  explicit WatchedMembership(const EtcdOptions& options)
      : membership_(*MakeEtcdMembership(options, *metrics_)) {
    membership_->OnChange([this] {
      const absl::MutexLock lock(&mutex_);
      ++changes_;
    });
  }
  ~WatchedMembership() { membership_->OnChange(nullptr); }

  Membership& operator*() { return *membership_; }
  Membership* operator->() { return membership_.get(); }

  /// Waits until the view is so; false after kPatience.
  bool Sees(const std::function<bool(const MembershipView&)>& so) {
    const absl::Time deadline = absl::Now() + kPatience;
    absl::MutexLock lock(&mutex_);
    while (true) {
      const int seen = changes_;
      if (so(*membership_->View())) return true;
      const auto changed = [this, seen]()
                               ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return changes_ != seen; };
      if (!mutex_.AwaitWithDeadline(absl::Condition(&changed), deadline)) return false;
    }
  }
  bool SeesNames(const std::vector<std::string>& names) {
    return Sees([&names](const MembershipView& view) {
      std::vector<std::string> seen;
      for (const Member& member : view.members) seen.push_back(member.name);
      return seen == names;
    });
  }
  /// The value of a metric without labels.
  double Metric(const std::string& name) const {
    const std::string text = absl::StrCat("\n", metrics_->ExpositionText());
    const std::size_t at = text.find(absl::StrCat("\n", name, " "));
    return at == std::string::npos ? -1 : std::stod(text.substr(at + name.size() + 2));
  }
  /// Waits until a counter is at least this; false after kPatience.
  bool Counts(const std::string& counter, double value) const {
    return Await([&] { return Metric(counter) >= value; });
  }
  bool IsConnected(bool connected) const {
    return Await([&] { return Metric("pinboard_service_etcd_connected") == (connected ? 1 : 0); });
  }

 private:
  static bool Await(const std::function<bool()>& so) {
    const absl::Time deadline = absl::Now() + kPatience;
    while (!so()) {
      if (absl::Now() > deadline) return false;
      absl::SleepFor(absl::Milliseconds(5));
    }
    return true;
  }

  const std::unique_ptr<MetricRegistry> metrics_ = NewMetricRegistry();
  const std::unique_ptr<Membership> membership_;
  absl::Mutex mutex_;
  int changes_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace pinboard::cache_service
