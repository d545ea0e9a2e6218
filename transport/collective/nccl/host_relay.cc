// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "transport/collective/nccl/host_relay.h"

#include <cstring>

#include "base/cuda/cuda_status.h"
#include "base/status_macros.h"

namespace pinboard::transport {

HostRelay::~HostRelay() {
  if (event_ != nullptr) (void)cudaEventDestroy(event_);
  if (stream_ != nullptr) (void)cudaStreamDestroy(stream_);
}

absl::Status HostRelay::Start() {
  PB_RETURN_IF_ERROR(cuda::ToStatus(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking),
                                    "cudaStreamCreate"));
  return cuda::ToStatus(cudaEventCreateWithFlags(&event_, cudaEventDisableTiming),
                        "cudaEventCreate");
}

absl::Status HostRelay::Reserve(std::size_t bytes) {
  PB_RETURN_IF_ERROR(cuda::ToStatus(cudaStreamSynchronize(stream_), "cudaStreamSynchronize"));
  if (bytes <= device_.size()) return absl::OkStatus();
  PB_ASSIGN_OR_RETURN(host_, cuda::PinnedBuffer::Make(bytes));
  PB_ASSIGN_OR_RETURN(device_, cuda::DeviceBuffer<std::byte>::Make(bytes));
  return absl::OkStatus();
}

absl::Status HostRelay::ToDevice(absl::Span<const std::byte> from, std::size_t offset) {
  std::memcpy(host_.bytes().data() + offset, from.data(), from.size());
  return cuda::ToStatus(cudaMemcpyAsync(device_.data() + offset, host_.bytes().data() + offset,
                                        from.size(), cudaMemcpyHostToDevice, stream_),
                        "copy to the device");
}

absl::Status HostRelay::ToHost(std::size_t bytes) {
  return cuda::ToStatus(
      cudaMemcpyAsync(host_.bytes().data(), device_.data(), bytes, cudaMemcpyDeviceToHost, stream_),
      "copy from the device");
}

absl::StatusOr<cudaEvent_t> HostRelay::Mark(cudaStream_t stream) {
  PB_RETURN_IF_ERROR(cuda::ToStatus(cudaEventRecord(event_, stream), "cudaEventRecord"));
  return event_;
}

}  // namespace pinboard::transport
