// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/rank_sums.cuh"

#include "base/clock.h"
#include "base/cuda/cuda_status.h"
#include "base/status_macros.h"

namespace pinboard::engine {

transport::DeviceCommunicator* RankSums::on_device() const {
  return communicator_->size() == 1 ? nullptr : communicator_->on_device();
}

bool RankSums::are_launches() const { return communicator_->size() == 1 || on_device() != nullptr; }

std::uint64_t RankSums::formation() const {
  return on_device() == nullptr ? 0 : on_device()->formation();
}

void RankSums::BeginStretch() {
  last_deadline_ = SteadyNow() + deadline_;
  if (on_device() != nullptr) on_device()->BeginReplay(last_deadline_);
}

absl::Status RankSums::Add(float* values, std::size_t count) {
  if (communicator_->size() == 1) return absl::OkStatus();
  if (on_device() == nullptr) return AddOnHost(values, count);
  last_deadline_ = SteadyNow() + deadline_;
  return on_device()->LaunchSumFloat(absl::MakeSpan(values, count), stream_, last_deadline_);
}

absl::Status RankSums::Await() {
  return on_device() == nullptr ? absl::OkStatus() : on_device()->Await(stream_, last_deadline_);
}

absl::Status RankSums::AddOnHost(float* values, std::size_t count) {
  const std::size_t bytes = count * sizeof(float);
  if (bytes > on_host_.bytes().size()) {
    PB_ASSIGN_OR_RETURN(on_host_, cuda::PinnedBuffer::Make(bytes));
  }
  auto* const host = reinterpret_cast<float*>(on_host_.bytes().data());
  PB_RETURN_IF_ERROR(
      cuda::ToStatus(cudaMemcpyAsync(host, values, bytes, cudaMemcpyDeviceToHost, stream_),
                     "copy partial sums from the device"));
  PB_RETURN_IF_ERROR(cuda::ToStatus(cudaStreamSynchronize(stream_), "wait for partial sums"));
  PB_RETURN_IF_ERROR(communicator_->SumFloat(absl::MakeSpan(host, count), SteadyNow() + deadline_));
  return cuda::ToStatus(cudaMemcpyAsync(values, host, bytes, cudaMemcpyHostToDevice, stream_),
                        "copy sums to the device");
}

}  // namespace pinboard::engine
