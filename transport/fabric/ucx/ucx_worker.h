// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Owners of UCX's context and worker.
#pragma once

#include <ucp/api/ucp.h>

#include <cstddef>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace pinboard::transport {

/// One UCX context with one single-threaded worker. Endpoints, mappings and remote keys must be
/// gone, or be given up, before it is destroyed. Thread-compatible.
class UcxWorker {
 public:
  /// UCX's own log is off unless UCX_LOG_LEVEL says otherwise: what matters is in our statuses.
  static absl::StatusOr<std::unique_ptr<UcxWorker>> Create();
  ~UcxWorker();
  UcxWorker(const UcxWorker&) = delete;
  UcxWorker& operator=(const UcxWorker&) = delete;

  ucp_context_h context() const { return context_; }
  ucp_worker_h get() const { return worker_; }
  /// Readable once something can progress after a successful Arm.
  int event_fd() const { return event_fd_; }
  const std::vector<std::byte>& address() const { return address_; }

  /// Number of things that progressed.
  unsigned Progress() { return ucp_worker_progress(worker_); }
  /// False: something is ready already, or cannot be waited for; progress first.
  bool Arm() { return ucp_worker_arm(worker_) == UCS_OK; }

 private:
  UcxWorker() = default;
  absl::Status Start();
  absl::Status ReadAddress();

  ucp_context_h context_ = nullptr;
  ucp_worker_h worker_ = nullptr;
  int event_fd_ = -1;
  std::vector<std::byte> address_;
};

}  // namespace pinboard::transport
