// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Owners of UCX's context and workers.
#pragma once

#include <ucp/api/ucp.h>

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace pinboard::transport {

/// A UCX context: transports and registered memory. Shared by its workers, which end before it.
class UcxContext {
 public:
  /// UCX's own log is off unless UCX_LOG_LEVEL says otherwise: what matters is in our statuses.
  static absl::StatusOr<std::shared_ptr<const UcxContext>> Create();
  ~UcxContext();
  UcxContext(const UcxContext&) = delete;
  UcxContext& operator=(const UcxContext&) = delete;

  ucp_context_h get() const { return context_; }

 private:
  UcxContext() = default;

  ucp_context_h context_ = nullptr;
};

/// A single-threaded worker: what receives, and what endpoints send by. Endpoints and remote keys
/// must be gone, or be given up, before it is destroyed. Thread-compatible.
class UcxWorker {
 public:
  static absl::StatusOr<std::shared_ptr<UcxWorker>> Create(
      std::shared_ptr<const UcxContext> context);
  ~UcxWorker();
  UcxWorker(const UcxWorker&) = delete;
  UcxWorker& operator=(const UcxWorker&) = delete;

  ucp_worker_h get() const { return worker_; }
  /// Readable once something can progress after a successful Arm.
  int event_fd() const { return event_fd_; }
  const std::vector<std::byte>& address() const { return address_; }

  /// Number of things that progressed.
  unsigned Progress() { return ucp_worker_progress(worker_); }
  /// Progresses while there is something, so many times at most; false: nothing was.
  bool Drain(int most_times);
  /// Whether the last Drain left nothing: all that had arrived has been handled.
  bool drained() const { return drained_; }
  /// False: something is ready already, or cannot be waited for; progress first.
  bool Arm() { return ucp_worker_arm(worker_) == UCS_OK; }

 private:
  explicit UcxWorker(std::shared_ptr<const UcxContext> context) : context_(std::move(context)) {}
  absl::Status Start();
  absl::Status ReadAddress();

  const std::shared_ptr<const UcxContext> context_;
  ucp_worker_h worker_ = nullptr;
  int event_fd_ = -1;
  bool drained_ = false;
  std::vector<std::byte> address_;
};

}  // namespace pinboard::transport
