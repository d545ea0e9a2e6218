// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Collectives among the ranks of one tensor-parallel group, each with a deadline.
#pragma once

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "absl/types/span.h"

namespace pinboard::transport {

class DeviceCommunicator;

/// A group of `size()` ranks that issue the same collectives in the same order (the liveness
/// contract). Implementations: local (threads of one process), host (processes, over a Fabric) and
/// nccl (processes with a device each); all pass tests/conformance/communicator_conformance.h.
///
/// Determinism: a float sum is taken in rank order and is bit-identical on every rank; an integer
/// sum is exact (two's complement wrap-around). Group size 1: every call returns at once, moves
/// nothing.
///
/// Deadlines and errors: collectives are numbered. A call that has not completed by its deadline
/// returns DeadlineExceeded, its message naming the ranks that are missing ("rank 2 has not joined
/// collective 41 in 500 ms"); that number is abandoned, late contributions to it are dropped,
/// output is unspecified, and the group stays usable: the next call uses the next number on every
/// rank. So a late rank that issues the abandoned collective later may complete it on its side:
/// what it decides must be confirmed by a later collective (shard's Commit does). A peer known to
/// be dead (its connection is gone) gives Unavailable naming it, at once, to this and every later
/// call: the group cannot go on. FailedPrecondition: ranks disagree on the kind or size of a
/// collective.
///
/// Thread-compatible: one thread at a time, which also drives the transport. Buffers: host memory,
/// caller's, in place. Waiting ranks sleep; they spin at most a few microseconds.
class Communicator {
 public:
  virtual ~Communicator() = default;

  virtual int rank() const = 0;
  virtual int size() const = 0;

  /// data[i] = sum over ranks. Same length on every rank.
  virtual absl::Status SumInt32(absl::Span<std::int32_t> data, absl::Time deadline) = 0;
  virtual absl::Status SumFloat(absl::Span<float> data, absl::Time deadline) = 0;

  /// received = the ranks' `send` one after another in rank order; received.size() == size() *
  /// send.size(). Same length on every rank; the two may not overlap.
  virtual absl::Status AllGather(absl::Span<const std::byte> send, absl::Span<std::byte> received,
                                 absl::Time deadline) = 0;

  /// Collectives issued so far on this rank (the same on every rank; shown as a metric, recorded by
  /// tests), whatever their outcome.
  virtual std::uint64_t issued() const = 0;

  /// The same group's collectives on device memory (device_communicator.h), of this object; null:
  /// it has none.
  virtual DeviceCommunicator* on_device() { return nullptr; }
};

}  // namespace pinboard::transport
