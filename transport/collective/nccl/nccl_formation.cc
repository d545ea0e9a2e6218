// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "transport/collective/nccl/nccl_formation.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/clock.h"
#include "base/status_macros.h"

namespace pinboard::transport {
namespace {

constexpr absl::Duration kPollEvery = absl::Microseconds(10);
// How long a rank that leaves serves the others.
constexpr absl::Duration kFlushPatience = absl::Seconds(1);

}  // namespace

absl::Status ToStatus(ncclResult_t result, const char* what) {
  if (result == ncclSuccess || result == ncclInProgress) return absl::OkStatus();
  const std::string message = absl::StrCat(what, ": ", ncclGetErrorString(result));
  const bool others = result == ncclRemoteError || result == ncclSystemError;
  return others ? absl::UnavailableError(message) : absl::InternalError(message);
}

absl::Status NcclFormation::Start(const ncclUniqueId& id, int rank, int size, absl::Time deadline) {
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = 0;
  ncclComm_t comm = nullptr;
  absl::Status status =
      ToStatus(ncclCommInitRankConfig(&comm, size, id, rank, &config), "NCCL's start");
  {
    absl::MutexLock lock(&mutex_);
    comm_ = comm;
  }
  if (status.ok()) {
    status = Settle("NCCL's start", deadline, [](ncclComm_t) { return ncclSuccess; });
  }
  if (!status.ok()) {
    Abort();
  } else {
    watching_ = std::thread([this] { AbortLate(); });
  }
  return status;
}

NcclFormation::~NcclFormation() {
  {
    absl::MutexLock lock(&mutex_);
    ended_ = true;
    changed_.SignalAll();
  }
  if (watching_.joinable()) watching_.join();
  const absl::Status flushed = Settle("NCCL's end", SteadyNow() + kFlushPatience,
                                      [](ncclComm_t comm) { return ncclCommFinalize(comm); });
  absl::MutexLock lock(&mutex_);
  if (flushed.ok()) {
    (void)ncclCommDestroy(comm_);
  } else {
    AbortLocked();
  }
  if (aborting_.joinable()) aborting_.join();
}

absl::Status NcclFormation::AllReduce(void* data, std::size_t count, ncclDataType_t type,
                                      cudaStream_t stream, absl::Time deadline) {
  return Settle("ncclAllReduce", deadline, [&](ncclComm_t comm) {
    return ncclAllReduce(data, data, count, type, ncclSum, comm, stream);
  });
}

absl::Status NcclFormation::AllGather(const void* send, void* received, std::size_t bytes,
                                      cudaStream_t stream, absl::Time deadline) {
  return Settle("ncclAllGather", deadline, [&](ncclComm_t comm) {
    return ncclAllGather(send, received, bytes, ncclUint8, comm, stream);
  });
}

void NcclFormation::AbortAt(absl::Time time) {
  absl::MutexLock lock(&mutex_);
  abort_at_ = time;
  changed_.SignalAll();
}

void NcclFormation::AbortLate() {
  absl::MutexLock lock(&mutex_);
  while (!ended_) {
    changed_.WaitUntil(mutex_, abort_at_);
    if (!ended_ && SteadyNow() >= abort_at_) {
      abort_at_ = absl::InfiniteFuture();
      AbortLocked();
    }
  }
}

void NcclFormation::Abort() {
  absl::MutexLock lock(&mutex_);
  AbortLocked();
}

void NcclFormation::AbortLocked() {
  if (comm_ == nullptr) return;
  aborting_ = std::thread([this, comm = std::exchange(comm_, nullptr)] {
    (void)ncclCommAbort(comm);
    aborted_.Notify();
  });
}

absl::Status NcclFormation::AwaitAborted(absl::Time deadline) {
  {
    absl::MutexLock lock(&mutex_);
    if (!aborting_.joinable()) return absl::OkStatus();
  }
  if (aborted_.WaitForNotificationWithDeadline(deadline)) return absl::OkStatus();
  return absl::DeadlineExceededError(
      "NCCL has not ended the group that was given up; it waits for the CUDA graphs that captured "
      "its collectives to be destroyed");
}

absl::Status NcclFormation::WithComm(const char* what, Call call) const {
  absl::MutexLock lock(&mutex_);
  if (comm_ == nullptr) {
    return absl::DeadlineExceededError(absl::StrCat(what, ": aborted at the deadline"));
  }
  return ToStatus(call(comm_), what);
}

absl::Status NcclFormation::State(const char* what, ncclResult_t* state) const {
  PB_RETURN_IF_ERROR(
      WithComm(what, [&](ncclComm_t comm) { return ncclCommGetAsyncError(comm, state); }));
  return ToStatus(*state, what);
}

absl::Status NcclFormation::Settle(const char* what, absl::Time deadline, Call start) {
  PB_RETURN_IF_ERROR(WithComm(what, start));
  while (true) {
    ncclResult_t state = ncclSuccess;
    PB_RETURN_IF_ERROR(State(what, &state));
    if (state != ncclInProgress) return absl::OkStatus();
    if (SteadyNow() >= deadline) {
      return absl::DeadlineExceededError(absl::StrCat(what, " has not ended in time"));
    }
    absl::SleepFor(kPollEvery);
  }
}

absl::Status NcclFormation::Error() const {
  ncclResult_t state = ncclSuccess;
  return State("NCCL", &state);
}

}  // namespace pinboard::transport
