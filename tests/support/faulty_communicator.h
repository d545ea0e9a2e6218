// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A Communicator with planted faults and a memory: for tests.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/time/time.h"
#include "transport/collective/collective_kind.h"
#include "transport/collective/communicator.h"

namespace pinboard::transport {

/// What goes wrong on this rank, by collective number (the first is 0).
struct FaultPlan {
  /// After this integer sum has been received, the lowest bit of element `flip_element` is flipped:
  /// the ranks no longer agree. Counted among integer sums only.
  std::optional<std::uint64_t> flip_in_integer_sum;
  std::size_t flip_element = 0;

  /// Before this collective the rank sleeps.
  std::optional<std::uint64_t> stall_before;
  absl::Duration stall;
};

/// Decorates a Communicator, but for its collectives on device memory. Thread-compatible.
class FaultyCommunicator : public Communicator {
 public:
  FaultyCommunicator(std::unique_ptr<Communicator> inner, FaultPlan plan);

  int rank() const override { return inner_->rank(); }
  int size() const override { return inner_->size(); }
  std::uint64_t issued() const override { return inner_->issued(); }
  DeviceCommunicator* on_device() override { return inner_->on_device(); }
  absl::Status SumInt32(absl::Span<std::int32_t> data, absl::Time deadline) override;
  absl::Status SumFloat(absl::Span<float> data, absl::Time deadline) override;
  absl::Status AllGather(absl::Span<const std::byte> send, absl::Span<std::byte> received,
                         absl::Time deadline) override;

  /// Every collective issued so far, in order: equal on all ranks, or the ranks are out of step.
  const std::vector<CollectiveShape>& record() const { return record_; }

 private:
  void Begin(CollectiveKind kind, std::size_t bytes);

  std::unique_ptr<Communicator> inner_;
  FaultPlan plan_;
  std::vector<CollectiveShape> record_;
  std::uint64_t integer_sums_ = 0;
};

}  // namespace pinboard::transport
