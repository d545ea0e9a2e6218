// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Keeps looking at one service, whether it is there or not.
#pragma once

#include <optional>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "app/stat/service_sample.h"
#include "cache_service/access/key_ring.h"

namespace pinboard::app {

/// What was seen of a service last.
struct ServiceView {
  std::string service;                  // HOST:PORT
  std::optional<ServiceSample> before;  // of the same connection
  std::optional<ServiceSample> now;     // nothing: not there
  std::string gone;                     // why it is not there; empty: not known yet
};

/// Asks for the counts every `interval` over UCX on a thread of its own, and connects again where
/// the service was gone. The first sample of a connection has none before it.
class ServiceWatcher {
 public:
  ServiceWatcher(std::string service, std::optional<cache_service::Credentials> credentials,
                 absl::Duration interval);
  /// Says goodbye; returns within a second.
  ~ServiceWatcher();

  /// Thread-safe.
  ServiceView view() const;

 private:
  void Run();
  absl::Status Watch();
  void Show(ServiceSample sample);
  /// True: it is to end.
  bool Pause();

  const std::string service_;
  const std::optional<cache_service::Credentials> credentials_;
  const absl::Duration interval_;
  mutable absl::Mutex mutex_;
  ServiceView view_ ABSL_GUARDED_BY(mutex_);
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace pinboard::app
