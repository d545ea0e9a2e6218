// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Metric handles: what a program counts, without naming the library that exports it.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/readiness.h"

namespace pinboard {

/// Label names and values of one time series, e.g. {{"reason", "checksum"}}.
using MetricLabels = std::map<std::string, std::string>;

/// Only goes up. Thread-safe; an increment is one atomic operation.
class Counter {
 public:
  virtual ~Counter() = default;
  void Increment() { Increment(1.0); }
  /// Requires amount >= 0.
  virtual void Increment(double amount) = 0;
  virtual double Value() const = 0;
};

/// Goes up and down. Thread-safe; each call is one atomic operation.
class Gauge {
 public:
  virtual ~Gauge() = default;
  virtual void Set(double value) = 0;
  virtual void Add(double amount) = 0;
  virtual double Value() const = 0;
};

/// Counts observations by size. Thread-safe; an observation takes one short lock.
class Histogram {
 public:
  virtual ~Histogram() = default;
  virtual void Observe(double value) = 0;
};

/// Owns the metrics of a process. Names follow Prometheus: pinboard_<process>_<what>_<unit>, and
/// _total at the end of a counter; docs/metrics.md lists every one of them.
///
///   auto registry = NewMetricRegistry();
///   Counter& misses = registry->AddCounter("pinboard_rank_misses_total", "Pages that were gone.");
///   misses.Increment();
///
/// Add* returns the same handle for the same name and labels; a handle lives as long as the
/// registry. A name that is malformed or already used for another kind of metric, or a counter's
/// without _total, is a programming error and ends the process with one line; so is one that
/// OpenMetrics knows another by, as a counter x_total by x and x_created, and a histogram x by
/// x_bucket, x_count, x_sum and x_created. Thread-safe; Add* takes a lock, so keep the handle.
class MetricRegistry {
 public:
  virtual ~MetricRegistry() = default;

  Counter& AddCounter(const std::string& name, const std::string& help,
                      const MetricLabels& labels = {}) {
    return FindOrAddCounter(name, help, labels);
  }
  Gauge& AddGauge(const std::string& name, const std::string& help,
                  const MetricLabels& labels = {}) {
    return FindOrAddGauge(name, help, labels);
  }
  /// `bounds`: ascending upper bounds of the buckets; one without a bound is added.
  Histogram& AddHistogram(const std::string& name, const std::string& help,
                          const std::vector<double>& bounds, const MetricLabels& labels = {}) {
    return FindOrAddHistogram(name, help, bounds, labels);
  }

  /// All metrics in the Prometheus text format.
  virtual std::string ExpositionText() const = 0;
  /// All metrics in the text format of OpenMetrics 1.0.0.
  virtual std::string OpenMetricsText() const = 0;

 private:
  virtual Counter& FindOrAddCounter(const std::string& name, const std::string& help,
                                    const MetricLabels& labels) = 0;
  virtual Gauge& FindOrAddGauge(const std::string& name, const std::string& help,
                                const MetricLabels& labels) = 0;
  virtual Histogram& FindOrAddHistogram(const std::string& name, const std::string& help,
                                        const std::vector<double>& bounds,
                                        const MetricLabels& labels) = 0;
};

std::unique_ptr<MetricRegistry> NewMetricRegistry();

/// Answers GET and HEAD of /metrics, /healthz and /readyz until destroyed. Thread-safe.
class MetricServer {
 public:
  virtual ~MetricServer() = default;
  /// The port listened on: the one asked for, or the one chosen where port 0 was asked for.
  virtual int port() const = 0;
};

/// Serves `registry`, made by NewMetricRegistry, which must outlive the server. `address` is
/// HOST:PORT with an IP literal
/// ("127.0.0.1:9464", "[::1]:9464", "0.0.0.0:9464") or "localhost", or a port alone, which means
/// loopback. Nothing is served beyond loopback unless the address says so.
///
/// /metrics is OpenMetrics 1.0.0 where the request's Accept header prefers it, else the Prometheus
/// text format.
///
/// /healthz is 200 unless `readiness` says that the process is stuck. /readyz is 200 while
/// `readiness`, which must outlive the server, says kReady, and 503 otherwise; without one it is
/// 200.
///
/// Errors: InvalidArgument for an address that cannot be read or is not this machine's,
/// AlreadyExists for a port in use, PermissionDenied for a port this user may not open.
absl::StatusOr<std::unique_ptr<MetricServer>> ServeMetrics(const MetricRegistry& registry,
                                                           const std::string& address,
                                                           const Readiness* readiness = nullptr);

}  // namespace pinboard
