// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What the parts of a rank's runtime share.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "cache_service/page_store.h"
#include "pinboard/shard.h"
#include "shard/operations/operations.h"
#include "shard/sequence_state.h"
#include "transport/collective/communicator.h"
#include "transport/collective/device_communicator.h"

namespace pinboard {

/// A missing rank in a collective that every rank must pass is a lost rank.
inline absl::Status AsLostRank(const absl::Status& status) {
  if (!absl::IsDeadlineExceeded(status)) return status;
  return absl::UnavailableError(status.message());
}

/// Owned by the runtime; the parts hold a reference. One thread.
struct ShardContext {
  ShardOptions options;
  transport::Communicator* communicator = nullptr;
  cache_service::PageStore* store = nullptr;  // null: no band, no recall
  std::unique_ptr<Operations>
      operations;  // outlives the sequences, whose queries lie in its memory
  absl::flat_hash_map<std::uint64_t, SequenceState> sequences;
  ShardStats stats;

  int tp() const { return communicator->size(); }
  int rank() const { return communicator->rank(); }
  absl::Time RankDeadline() const {
    return SteadyNow() + absl::Milliseconds(options.rank_deadline_ms);
  }
  absl::Time RoundDeadline() const {
    return SteadyNow() + absl::Milliseconds(options.round_deadline_ms);
  }
  absl::Time FetchDeadline() const {
    return SteadyNow() + absl::Milliseconds(options.fetch_deadline_ms);
  }
  /// A round waits for slabs: not for long, for a service that is stuck.
  absl::Time LeaseDeadline() const {
    return std::min(FetchDeadline(), SteadyNow() + absl::Milliseconds(500));
  }

  /// [collective] Before the host waits within a step: what has been launched over the ranks has
  /// ended, or the error names the rank that is missing.
  absl::Status AwaitLaunched() const {
    transport::DeviceCommunicator* const on_device = communicator->on_device();
    if (tp() == 1 || on_device == nullptr) return absl::OkStatus();
    return AsLostRank(on_device->Await(stream(), RankDeadline()));
  }
  /// The engine's; null on the host.
  transport::DeviceStream stream() const {
    return static_cast<transport::DeviceStream>(options.stream);
  }

  /// Which of the distinct KV shards this rank holds, and its place among the ranks that hold the
  /// same.
  int kv_shard() const { return rank() / options.model.kv_replicas; }
  int kv_replica() const { return rank() % options.model.kv_replicas; }
  /// KV heads of the whole model.
  int total_kv_heads() const {
    return options.model.kv.kv_heads * tp() / options.model.kv_replicas;
  }
  /// One rank per replica group offloads a page: one copy in the service (vllm#47929).
  bool OwnsPage(std::uint32_t page) const {
    return static_cast<int>(page % static_cast<std::uint32_t>(options.model.kv_replicas)) ==
           kv_replica();
  }
};

}  // namespace pinboard
