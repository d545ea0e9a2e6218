// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// One of a rank's services, connected to once it is needed.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/steady_condition.h"
#include "cache_service/client/service_store.h"
#include "cache_service/remote_page_store.h"

namespace pinboard::cache_service {

/// Its first connection is made by Connect, else in the background, on a thread that ends with it.
/// The calls are one thread's.
class ServiceCandidate {
 public:
  ServiceCandidate(FabricFactory make_fabric, std::string address, PageStoreOptions options,
                   const ServicePlace& place);
  ~ServiceCandidate();
  ServiceCandidate(const ServiceCandidate&) = delete;
  ServiceCandidate& operator=(const ServiceCandidate&) = delete;

  /// Tries once; ok: there is a store.
  absl::Status Connect(absl::Time deadline);
  /// Tries until it succeeds, without waiting for it; no effect where it has, or is trying.
  void Begin();
  /// Nothing more begins; the destructor waits for what has.
  void Stop();

  /// Null until the first connection.
  ServiceStore* store() const { return ready_.load(); }
  ServiceState state() const {
    const ServiceStore* const store = ready_.load();
    return store == nullptr ? ServiceState::kGone : store->state();
  }
  const std::string& address() const { return address_; }

 private:
  void Run();
  /// False: it is to stop.
  bool Pause(absl::Duration pause);

  const FabricFactory make_fabric_;
  const std::string address_;
  const PageStoreOptions options_;
  const ServicePlace place_;
  absl::Mutex mutex_;
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  SteadyCondition stopped_;
  std::unique_ptr<ServiceStore> store_;  // the thread's, until it is ready
  std::atomic<ServiceStore*> ready_ = nullptr;
  std::thread thread_;
};

}  // namespace pinboard::cache_service
