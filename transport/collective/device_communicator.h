// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Collectives on device memory, in the order of a stream.
#pragma once

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "absl/types/span.h"

struct CUstream_st;

namespace pinboard::transport {

/// cudaStream_t, without CUDA's headers.
using DeviceStream = CUstream_st*;

/// A group of `size()` ranks, each with a device, that launch the same collectives in the same
/// order. A launch puts the collective on `stream` and returns; it allocates nothing of ours, and a
/// CUDA graph can capture it (cudaStreamCaptureModeThreadLocal or Relaxed). Buffers: device memory,
/// the caller's, untouched by others until the stream has passed the collective. Group size 1: no
/// collective; sums launch nothing.
///
/// Determinism: integer sums are exact (two's complement wrap-around). A float sum has the same
/// bits on every rank, since each element is added up at one place and copied from there, but the
/// order of the ranks in it is the library's and may differ between lengths. What must be added in
/// rank order goes through Communicator::SumFloat.
///
/// Liveness: nothing waits without a deadline. A launch may wait for the other ranks the first time
/// a length needs a connection; Await waits for the stream. A thread that blocks in CUDA behind
/// what it has launched (a full queue, an allocation, a synchronisation) is let go: what has not
/// ended shortly before the deadline of the last launch or replay is aborted then, and the next
/// call says so. So where values are used that a host waited for by itself, Await comes first. A
/// rank that is late for an Await which the others gave up may find its own values whole (they had
/// been sent before) and go on, until its next call says that the group was given up.
/// DeadlineExceeded names the ranks that are missing, Unavailable those that are lost (for good: a
/// group without them cannot go on); FailedPrecondition: the ranks launched different collectives,
/// or the group has been given up. After any of these the group is given up: what was launched has
/// been aborted, its output is unspecified, and every call but Reform gives FailedPrecondition.
///
/// Thread-compatible. One device per communicator: the one that was current when it was made.
class DeviceCommunicator {
 public:
  virtual ~DeviceCommunicator() = default;

  virtual int rank() const = 0;
  virtual int size() const = 0;

  /// data[i] = sum over ranks. Same length on every rank.
  virtual absl::Status LaunchSumInt32(absl::Span<std::int32_t> data, DeviceStream stream,
                                      absl::Time deadline) = 0;
  virtual absl::Status LaunchSumFloat(absl::Span<float> data, DeviceStream stream,
                                      absl::Time deadline) = 0;
  /// Elements are bfloat16 bits; partial sums are rounded to bfloat16.
  virtual absl::Status LaunchSumBFloat16(absl::Span<std::uint16_t> data, DeviceStream stream,
                                         absl::Time deadline) = 0;

  /// received = the ranks' `send` one after another in rank order; received.size() == size() *
  /// send.size(), else InvalidArgument. Same length on every rank; the two may not overlap.
  virtual absl::Status LaunchAllGather(absl::Span<const std::byte> send,
                                       absl::Span<std::byte> received, DeviceStream stream,
                                       absl::Time deadline) = 0;

  /// Before graphs are replayed that captured collectives: their deadline.
  virtual void BeginReplay(absl::Time deadline) = 0;

  /// Returns when `stream` has passed all that is on it, launched collectives and replayed graphs
  /// included. Every rank calls it after the same launches; it is the one place where the hosts of
  /// the ranks meet, so call it once a step, not once a collective.
  virtual absl::Status Await(DeviceStream stream, absl::Time deadline) = 0;

  /// Forms a group that has been given up anew, with all its ranks. Graphs that captured its
  /// collectives must have been destroyed: they can never run again, and until they are gone this
  /// gives DeadlineExceeded.
  virtual absl::Status Reform(absl::Time deadline) = 0;
  /// How often the group was formed: a graph is good for the formation that captured it.
  virtual std::uint64_t formation() const = 0;

  /// Collectives launched so far on this rank, whatever their outcome; a replay counts nothing.
  virtual std::uint64_t launched() const = 0;
};

}  // namespace pinboard::transport
