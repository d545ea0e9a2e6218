// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Sums over the ranks of values in device memory.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/cuda/pinned_buffer.h"
#include "transport/collective/communicator.h"
#include "transport/collective/device_communicator.h"

namespace pinboard::engine {

/// Where the group has collectives on device memory a sum is a launch, and nothing waits but Await.
/// Any other group (threads of a test) sums on the host, at a wait each. A group of one sums
/// nothing. Errors are the communicator's. Thread-compatible.
class RankSums {
 public:
  /// `communicator` outlives this; `deadline` is for each sum and each wait.
  RankSums(transport::Communicator* communicator, cudaStream_t stream, absl::Duration deadline)
      : communicator_(communicator), stream_(stream), deadline_(deadline) {}

  /// Whether nothing waits but Await, so that sums can be captured in a graph.
  bool are_launches() const;
  /// A graph is good for the formation that captured its sums; 0 where none are.
  std::uint64_t formation() const;

  /// Before sums that are replayed together: from now on they have the deadline of one.
  void BeginStretch();
  /// [collective] values[i] = sum over ranks, the same bits on each. Stream-ordered.
  absl::Status Add(float* values, std::size_t count);
  /// [collective] All that is on the stream has ended; names the rank without which it cannot.
  absl::Status Await();

 private:
  /// Null: a group of one, or one that sums on the host.
  transport::DeviceCommunicator* on_device() const;
  absl::Status AddOnHost(float* values, std::size_t count);

  transport::Communicator* communicator_;
  cudaStream_t stream_;
  absl::Duration deadline_;
  absl::Time last_deadline_;  // of the last stretch, or of the last sum that was not replayed
  cuda::PinnedBuffer on_host_;
};

}  // namespace pinboard::engine
