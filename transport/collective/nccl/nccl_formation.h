// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// One ncclComm_t, from its non-blocking start to its end.
#pragma once

#include <cuda_runtime_api.h>
#include <nccl.h>

#include <cstddef>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "base/steady_condition.h"

namespace pinboard::transport {

/// OK and ncclInProgress are OK; Unavailable: another rank or the network failed; Internal: this
/// rank's own fault.
absl::Status ToStatus(ncclResult_t result, const char* what);

/// NCCL's non-blocking mode throughout: calls return while NCCL still works on them, and each
/// method here waits for that until its deadline. DeadlineExceeded: it did not end, or has been
/// aborted; Abort is all that may follow. Thread-compatible; a thread of its own aborts.
class NcclFormation {
 public:
  NcclFormation() = default;
  /// Flushes what the other ranks still need from here, for a moment at most. Graphs that captured
  /// collectives of the formation must be gone: NCCL waits for that.
  ~NcclFormation();
  NcclFormation(const NcclFormation&) = delete;
  NcclFormation& operator=(const NcclFormation&) = delete;

  /// Once, on the current device. After an error it has been aborted.
  absl::Status Start(const ncclUniqueId& id, int rank, int size, absl::Time deadline);

  /// In place.
  absl::Status AllReduce(void* data, std::size_t count, ncclDataType_t type, cudaStream_t stream,
                         absl::Time deadline);
  absl::Status AllGather(const void* send, void* received, std::size_t bytes, cudaStream_t stream,
                         absl::Time deadline);
  /// What went wrong since, on the network or on the device.
  absl::Status Error() const;

  /// Aborts at `time` instead of when the last call said, whatever the caller blocks in then.
  void AbortAt(absl::Time time);
  /// Returns at once; kernels under way end. NCCL frees the rest on a thread of its own, when the
  /// last graph that captured a collective is gone.
  void Abort();
  /// DeadlineExceeded: graphs that were captured before Abort are still there.
  absl::Status AwaitAborted(absl::Time deadline);

 private:
  using Call = absl::FunctionRef<ncclResult_t(ncclComm_t)>;

  /// The call's result, unless it has been aborted.
  absl::Status WithComm(const char* what, Call call) const;
  absl::Status Settle(const char* what, absl::Time deadline, Call start);
  absl::Status State(const char* what, ncclResult_t* state) const;
  void AbortLate();
  void AbortLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  mutable absl::Mutex mutex_;
  ncclComm_t comm_ ABSL_GUARDED_BY(mutex_) = nullptr;
  absl::Time abort_at_ ABSL_GUARDED_BY(mutex_) = absl::InfiniteFuture();
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  SteadyCondition changed_;  // abort_at_, ended_
  std::thread watching_;
  std::thread aborting_ ABSL_GUARDED_BY(mutex_);
  absl::Notification aborted_;
};

}  // namespace pinboard::transport
