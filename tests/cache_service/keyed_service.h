// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A service with keys, over UCX, in this process: its metrics and its log can be read.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "base/metrics.h"
#include "cache_service/access/key_ring.h"
#include "cache_service/server/server.h"
#include "tests/cache_service/metric_value.h"
#include "tests/cache_service/scratch_file.h"
#include "tests/cache_service/test_pages.h"
#include "transport/fabric/ucx/ucx_fabric.h"

namespace pinboard::cache_service {

inline const std::string kAlphaKey = "hex:" + std::string(64, 'a');
inline const std::string kBetaKey = "hex:" + std::string(64, 'b');
inline const std::string kTwoTenants = "alpha 1 " + kAlphaKey + "\nbeta 1 " + kBetaKey + "\n";

inline Credentials Show(const std::string& tenant, const std::string& id, const std::string& key) {
  return {tenant, id, *AccessKey::Parse(key)};
}
inline Credentials Alpha() { return Show("alpha", "1", kAlphaKey); }
inline Credentials Beta() { return Show("beta", "1", kBetaKey); }

class KeyedService {
 public:
  /// Four pages to a segment.
  static constexpr std::uint64_t kSegmentBytes = 4 * kTestPageBytes;

  KeyedService(std::uint64_t segments, const std::string& keys, const std::string& limits)
      : key_file_(keys), tenant_file_(limits) {
    ServerOptions options;
    options.listen = "127.0.0.1:0";
    options.arena_bytes = segments * kSegmentBytes;
    options.segment_bytes = kSegmentBytes;
    options.eviction = LowestInformation();
    options.watermarks = {1, 1};
    options.key_file = key_file_.path();
    options.tenant_file = tenant_file_.path();
    auto server = Server::Create(*transport::MakeUcxFabric(), options, *metrics_);
    EXPECT_EQ(server.status(), absl::OkStatus());
    server_ = *std::move(server);
    thread_ = std::thread([this] { server_->Run(); });
  }
  ~KeyedService() {
    server_->Stop();
    thread_.join();
  }

  const std::string& address() const { return server_->address(); }
  ScratchFile& key_file() { return key_file_; }

  /// A series of /metrics as it is, or 0 where there is none.
  double Metric(const std::string& series) const { return MetricValue(*metrics_, series); }
  double Refused(const std::string& reason) const {
    return Metric(absl::StrCat("pinboard_service_refused_total{reason=\"", reason, "\"}"));
  }
  double OfTenant(const std::string& tenant, const std::string& what) const {
    return Metric(absl::StrCat("pinboard_service_tenant_", what, "{tenant=\"", tenant, "\"}"));
  }
  /// Metrics follow what happens by a moment.
  template <typename Condition>
  static bool Eventually(Condition condition) {
    const absl::Time give_up = Soon();
    while (!condition()) {
      if (SteadyNow() > give_up) return false;
      absl::SleepFor(absl::Milliseconds(1));
    }
    return true;
  }

 private:
  ScratchFile key_file_;
  ScratchFile tenant_file_;
  const std::unique_ptr<MetricRegistry> metrics_ = NewMetricRegistry();
  std::unique_ptr<Server> server_;
  std::thread thread_;
};

}  // namespace pinboard::cache_service
