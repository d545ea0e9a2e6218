// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "base/metrics_prometheus.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <cstdlib>
#include <exception>
#include <initializer_list>
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/synchronization/mutex.h"
#include "base/metrics.h"
#include "base/open_metrics.h"

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
  std::string OpenMetricsText() const override {
    return pinboard::OpenMetricsText(registry_->Collect());
  }

  std::shared_ptr<prometheus::Collectable> collectable() const { return registry_; }

 private:
  /// Handles by the metric they stand for. The node of a std::map never moves.
  template <typename Metric, typename Handle>
  using Handles = std::map<const Metric*, Handle>;

  Counter& FindOrAddCounter(const std::string& name, const std::string& help,
                            const MetricLabels& labels) override {
    if (!absl::EndsWith(name, "_total")) Refuse(name, "the name of a counter ends in _total");
    const absl::MutexLock lock(&mutex_);
    Claim(name, std::string(absl::StripSuffix(name, "_total")), {"", "_total", "_created"});
    return FindOrAdd(counters_, prometheus::BuildCounter(), name, help, labels);
  }
  Gauge& FindOrAddGauge(const std::string& name, const std::string& help,
                        const MetricLabels& labels) override {
    const absl::MutexLock lock(&mutex_);
    Claim(name, name, {""});
    return FindOrAdd(gauges_, prometheus::BuildGauge(), name, help, labels);
  }
  Histogram& FindOrAddHistogram(const std::string& name, const std::string& help,
                                const std::vector<double>& bounds,
                                const MetricLabels& labels) override {
    const absl::MutexLock lock(&mutex_);
    Claim(name, name, {"", "_bucket", "_count", "_sum", "_created"});
    return FindOrAdd(histograms_, prometheus::BuildHistogram(), name, help, labels, bounds);
  }

  /// The names that OpenMetrics knows a metric by are no other's: one that is spoils all of a
  /// scrape.
  void Claim(const std::string& name, const std::string& family,
             std::initializer_list<const char*> suffixes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    for (const char* suffix : suffixes) {
      const auto& [claimed, owner] = *claimed_.try_emplace(family + suffix, name).first;
      if (owner == name) continue;
      Refuse(name, absl::StrCat("in OpenMetrics ", claimed, " is a name of ", owner).c_str());
    }
  }

  template <typename Metric, typename Handle, typename Builder, typename... Bounds>
  Handle& FindOrAdd(Handles<Metric, Handle>& handles, Builder builder, const std::string& name,
                    const std::string& help, const MetricLabels& labels, const Bounds&... bounds) {
    try {
      Metric& metric = builder.Name(name).Help(help).Register(*registry_).Add(labels, bounds...);
      return handles.try_emplace(&metric, metric).first->second;
    } catch (const std::exception& error) {
      Refuse(name, error.what());
    }
  }

  [[noreturn]] static void Refuse(const std::string& name, const char* why) {
    std::cerr << "pinboard: cannot register the metric " << name << ": " << why << "\n";
    std::abort();
  }

  /// Shared because the exposer holds it weakly while it answers a scrape.
  const std::shared_ptr<prometheus::Registry> registry_ = std::make_shared<prometheus::Registry>();
  absl::Mutex mutex_;
  std::map<std::string, std::string> claimed_ ABSL_GUARDED_BY(mutex_);  // whose each name is
  Handles<prometheus::Counter, PrometheusCounter> counters_ ABSL_GUARDED_BY(mutex_);
  Handles<prometheus::Gauge, PrometheusGauge> gauges_ ABSL_GUARDED_BY(mutex_);
  Handles<prometheus::Histogram, PrometheusHistogram> histograms_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

std::unique_ptr<MetricRegistry> NewMetricRegistry() {
  return std::make_unique<PrometheusRegistry>();
}

std::shared_ptr<prometheus::Collectable> CollectableOf(const MetricRegistry& registry) {
  return static_cast<const PrometheusRegistry&>(registry).collectable();
}

}  // namespace pinboard
