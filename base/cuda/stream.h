// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Owned streams and events.
#pragma once

#include <cuda_runtime_api.h>

#include <utility>

#include "absl/status/statusor.h"
#include "base/cuda/cuda_status.h"

namespace pinboard::cuda {

/// A stream of the current device that waits for no other. Move-only; a moved-from stream is the
/// default one and owns nothing.
class Stream {
 public:
  static absl::StatusOr<Stream> Create() {
    Stream stream;
    if (auto status = ToStatus(cudaStreamCreateWithFlags(&stream.stream_, cudaStreamNonBlocking),
                               "create a stream");
        !status.ok()) {
      return status;
    }
    return stream;
  }
  Stream(Stream&& other) noexcept : stream_(std::exchange(other.stream_, nullptr)) {}
  Stream& operator=(Stream&& other) noexcept {
    std::swap(stream_, other.stream_);
    return *this;
  }
  ~Stream() {
    if (stream_ != nullptr) (void)cudaStreamDestroy(stream_);
  }

  cudaStream_t get() const { return stream_; }
  absl::Status Wait() const {
    return ToStatus(cudaStreamSynchronize(stream_), "wait for the device");
  }

 private:
  Stream() = default;
  cudaStream_t stream_ = nullptr;
};

/// A point in a stream, without a time. Complete before it is first recorded. Move-only.
class Event {
 public:
  static absl::StatusOr<Event> Create() {
    Event event;
    if (auto status =
            ToStatus(cudaEventCreateWithFlags(&event.event_, cudaEventDisableTiming), "event");
        !status.ok()) {
      return status;
    }
    return event;
  }
  Event(Event&& other) noexcept : event_(std::exchange(other.event_, nullptr)) {}
  Event& operator=(Event&& other) noexcept {
    std::swap(event_, other.event_);
    return *this;
  }
  ~Event() {
    if (event_ != nullptr) (void)cudaEventDestroy(event_);
  }

  absl::Status Record(cudaStream_t stream) const {
    return ToStatus(cudaEventRecord(event_, stream), "record an event");
  }
  /// Whether all that came before it in the stream is done.
  absl::StatusOr<bool> Reached() const {
    const cudaError_t queried = cudaEventQuery(event_);
    if (queried == cudaErrorNotReady) return false;
    if (auto status = ToStatus(queried, "ask for an event"); !status.ok()) return status;
    return true;
  }
  /// Waits on the host.
  absl::Status Wait() const { return ToStatus(cudaEventSynchronize(event_), "wait for an event"); }

 private:
  Event() = default;
  cudaEvent_t event_ = nullptr;
};

}  // namespace pinboard::cuda
