// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include <CivetServer.h>
#include <dlfcn.h>
#include <prometheus/counter.h>
#include <prometheus/exposer.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>
#include <pthread.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "base/metrics.h"
#include "base/socket_address.h"
#include "base/status_macros.h"

/// In place of the C library's, for the whole program: no thread has a stack smaller than a
/// megabyte, of which only what it touches is memory. civetweb gives its threads 100 KiB, the C
/// library puts every library's thread-local storage there too, and cuBLASLt, OpenBLAS and NCCL
/// have 168 KiB of it: pthread_create refuses, and no metrics are served.
extern "C" int pthread_attr_setstacksize(pthread_attr_t* attributes, std::size_t bytes) noexcept {
  using SetStackSize = int (*)(pthread_attr_t*, std::size_t);
  static const auto set =
      reinterpret_cast<SetStackSize>(dlsym(RTLD_NEXT, "pthread_attr_setstacksize"));
  constexpr std::size_t kLeastBytes = std::size_t{1} << 20;
  return set(attributes, std::max(bytes, kLeastBytes));
}

namespace pinboard {
namespace {

class PrometheusCounter : public Counter {
 public:
  explicit PrometheusCounter(prometheus::Counter& counter) : counter_(counter) {}
  void Increment(double amount) override { counter_.Increment(amount); }
  double Value() const override { return counter_.Value(); }

 private:
  prometheus::Counter& counter_;
};

class PrometheusGauge : public Gauge {
 public:
  explicit PrometheusGauge(prometheus::Gauge& gauge) : gauge_(gauge) {}
  void Set(double value) override { gauge_.Set(value); }
  void Add(double amount) override { gauge_.Increment(amount); }
  double Value() const override { return gauge_.Value(); }

 private:
  prometheus::Gauge& gauge_;
};

class PrometheusHistogram : public Histogram {
 public:
  explicit PrometheusHistogram(prometheus::Histogram& histogram) : histogram_(histogram) {}
  void Observe(double value) override { histogram_.Observe(value); }

 private:
  prometheus::Histogram& histogram_;
};

class PrometheusRegistry : public MetricRegistry {
 public:
  std::string ExpositionText() const override {
    return prometheus::TextSerializer().Serialize(registry_->Collect());
  }

  const std::shared_ptr<prometheus::Registry>& collectable() const { return registry_; }

 private:
  /// Handles by the metric they stand for. The node of a std::map never moves.
  template <typename Metric, typename Handle>
  using Handles = std::map<const Metric*, Handle>;

  Counter& FindOrAddCounter(const std::string& name, const std::string& help,
                            const MetricLabels& labels) override {
    const absl::MutexLock lock(&mutex_);
    return FindOrAdd(counters_, prometheus::BuildCounter(), name, help, labels);
  }
  Gauge& FindOrAddGauge(const std::string& name, const std::string& help,
                        const MetricLabels& labels) override {
    const absl::MutexLock lock(&mutex_);
    return FindOrAdd(gauges_, prometheus::BuildGauge(), name, help, labels);
  }
  Histogram& FindOrAddHistogram(const std::string& name, const std::string& help,
                                const std::vector<double>& bounds,
                                const MetricLabels& labels) override {
    const absl::MutexLock lock(&mutex_);
    return FindOrAdd(histograms_, prometheus::BuildHistogram(), name, help, labels, bounds);
  }

  template <typename Metric, typename Handle, typename Builder, typename... Bounds>
  Handle& FindOrAdd(Handles<Metric, Handle>& handles, Builder builder, const std::string& name,
                    const std::string& help, const MetricLabels& labels, const Bounds&... bounds) {
    try {
      Metric& metric = builder.Name(name).Help(help).Register(*registry_).Add(labels, bounds...);
      return handles.try_emplace(&metric, metric).first->second;
    } catch (const std::exception& error) {
      std::cerr << "pinboard: cannot register the metric " << name << ": " << error.what() << "\n";
      std::abort();
    }
  }

  /// Shared because the exposer holds it weakly while it answers a scrape.
  const std::shared_ptr<prometheus::Registry> registry_ = std::make_shared<prometheus::Registry>();
  absl::Mutex mutex_;
  Handles<prometheus::Counter, PrometheusCounter> counters_ ABSL_GUARDED_BY(mutex_);
  Handles<prometheus::Gauge, PrometheusGauge> gauges_ ABSL_GUARDED_BY(mutex_);
  Handles<prometheus::Histogram, PrometheusHistogram> histograms_ ABSL_GUARDED_BY(mutex_);
};

/// civetweb takes connections while it still starts, and crashes where it answers one with an error
/// then, as it does before /metrics is there: requests wait for servers that are starting.
ABSL_CONST_INIT absl::Mutex starting(absl::kConstInit);

int WaitForStart(mg_connection* /*connection*/) {
  const absl::MutexLock none_starts(&starting);
  return 0;  // civetweb goes on
}

std::unique_ptr<prometheus::Exposer> StartExposer(const std::string& address,
                                                  const PrometheusRegistry& registry) {
  mg_callbacks callbacks = {};
  callbacks.begin_request = WaitForStart;
  const absl::MutexLock starts(&starting);
  // CivetCallbacks adds nothing to its base but a constructor.
  auto exposer = std::make_unique<prometheus::Exposer>(
      address, /*num_threads=*/2, static_cast<const CivetCallbacks*>(&callbacks));
  exposer->RegisterCollectable(registry.collectable());
  return exposer;
}

class PrometheusServer : public MetricServer {
 public:
  explicit PrometheusServer(std::unique_ptr<prometheus::Exposer> exposer)
      : exposer_(std::move(exposer)) {}
  int port() const override { return exposer_->GetListeningPorts().front(); }

 private:
  const std::unique_ptr<prometheus::Exposer> exposer_;
};

}  // namespace

std::unique_ptr<MetricRegistry> NewMetricRegistry() {
  return std::make_unique<PrometheusRegistry>();
}

absl::StatusOr<std::unique_ptr<MetricServer>> ServeMetrics(const MetricRegistry& registry,
                                                           const std::string& address) {
  PB_ASSIGN_OR_RETURN(const SocketAddress where, ParseSocketAddress(address));
  // The exposer does not say why it cannot listen; this does.
  PB_RETURN_IF_ERROR(CheckCanListen(where));
  try {
    return std::make_unique<PrometheusServer>(
        StartExposer(where.ToString(), static_cast<const PrometheusRegistry&>(registry)));
  } catch (const std::exception& error) {
    return absl::UnavailableError(absl::StrCat("cannot serve metrics on ", where.ToString(), ": ",
                                               error.what(), "; choose another port"));
  }
}

}  // namespace pinboard
