// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "transport/collective/nccl/nccl_formation.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
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
  const ncclResult_t started = ncclCommInitRankConfig(&comm_, size, id, rank, &config);
  absl::Status status = Settle(started, "NCCL's start", deadline);
  if (!status.ok()) Abort();
  return status;
}

NcclFormation::~NcclFormation() {
  if (comm_ != nullptr) {
    const absl::Status flushed =
        Settle(ncclCommFinalize(comm_), "NCCL's end", absl::Now() + kFlushPatience);
    if (flushed.ok()) {
      (void)ncclCommDestroy(comm_);
    } else {
      Abort();
    }
  }
  if (aborting_.joinable()) aborting_.join();
}

absl::Status NcclFormation::AllReduce(void* data, std::size_t count, ncclDataType_t type,
                                      cudaStream_t stream, absl::Time deadline) {
  return Settle(ncclAllReduce(data, data, count, type, ncclSum, comm_, stream), "ncclAllReduce",
                deadline);
}

absl::Status NcclFormation::AllGather(const void* send, void* received, std::size_t bytes,
                                      cudaStream_t stream, absl::Time deadline) {
  return Settle(ncclAllGather(send, received, bytes, ncclUint8, comm_, stream), "ncclAllGather",
                deadline);
}

void NcclFormation::Abort() {
  if (comm_ == nullptr) return;
  aborting_ = std::thread([this, comm = std::exchange(comm_, nullptr)] {
    (void)ncclCommAbort(comm);
    aborted_.Notify();
  });
}

absl::Status NcclFormation::AwaitAborted(absl::Time deadline) {
  if (!aborting_.joinable()) return absl::OkStatus();
  if (aborted_.WaitForNotificationWithDeadline(deadline)) return absl::OkStatus();
  return absl::DeadlineExceededError(
      "NCCL has not ended the group that was given up; it waits for the CUDA graphs that captured "
      "its collectives to be destroyed");
}

absl::Status NcclFormation::Settle(ncclResult_t started, const char* what, absl::Time deadline) {
  PB_RETURN_IF_ERROR(ToStatus(started, what));
  while (true) {
    ncclResult_t state = ncclSuccess;
    PB_RETURN_IF_ERROR(ToStatus(ncclCommGetAsyncError(comm_, &state), what));
    if (state != ncclInProgress) return ToStatus(state, what);
    if (absl::Now() >= deadline) {
      return absl::DeadlineExceededError(absl::StrCat(what, " has not ended in time"));
    }
    absl::SleepFor(kPollEvery);
  }
}

absl::Status NcclFormation::Error() const {
  ncclResult_t state = ncclSuccess;
  PB_RETURN_IF_ERROR(ToStatus(ncclCommGetAsyncError(comm_, &state), "NCCL"));
  return ToStatus(state, "NCCL");
}

}  // namespace pinboard::transport
