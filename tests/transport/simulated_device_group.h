// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A data plane as unforgiving as a library of device collectives, without a device.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "gtest/gtest.h"
#include "transport/collective/collective_errors.h"
#include "transport/collective/rank_order_sum.h"
#include "transport/collective/recovery/recoverable_group.h"

namespace pinboard::transport {

/// Where the simulated planes of one group meet: ranks are threads. Outlives the planes.
class SimulatedWire {
 public:
  explicit SimulatedWire(int size) : size_(size) {}

 private:
  friend class SimulatedDataPlane;
  using Contribution = std::vector<std::byte>;
  struct Formation {
    int present = 0;
    std::deque<std::vector<Contribution>> collectives;  // [number][rank]
    std::deque<int> contributed;                        // [number]
  };

  const int size_;
  absl::Mutex mutex_;
  std::map<FormationId, Formation> formations_;
};

/// Checks nothing and names nobody: with an unequal, dead or aborted rank a collective hangs until
/// its deadline.
class SimulatedDataPlane final : public DataPlane {
 public:
  SimulatedDataPlane(std::shared_ptr<SimulatedWire> wire, int rank)
      : wire_(std::move(wire)), rank_(rank) {}

  absl::StatusOr<FormationId> NewFormation() override {
    FormationId id = {};
    id[0] = static_cast<std::byte>(++made_);
    return id;
  }
  absl::Status Form(const FormationId& id, absl::Time deadline) override {
    absl::SleepFor(kFormTakes);
    if (absl::Now() > deadline) return Hung();
    absl::MutexLock lock(&wire_->mutex_);
    SimulatedWire::Formation& formation = wire_->formations_[id];
    ++formation.present;
    const auto complete = [&] { return formation.present == wire_->size_; };
    if (!wire_->mutex_.AwaitWithDeadline(absl::Condition(&complete), deadline)) return Hung();
    formation_ = &formation;
    next_ = 0;
    return absl::OkStatus();
  }
  void Abort() override { formation_ = nullptr; }
  absl::Status AwaitAborted(absl::Time) override {
    EXPECT_EQ(formation_, nullptr) << "formed anew without Abort";
    return absl::OkStatus();
  }

  /// Everybody's bytes, in rank order.
  absl::StatusOr<std::vector<std::byte>> Gather(absl::Span<const std::byte> mine,
                                                absl::Time deadline) {
    absl::MutexLock lock(&wire_->mutex_);
    const std::size_t number = next_++;
    while (formation_->collectives.size() <= number) {
      formation_->collectives.emplace_back(wire_->size_);
      formation_->contributed.push_back(0);
    }
    auto& collective = formation_->collectives[number];
    collective[rank_].assign(mine.begin(), mine.end());
    ++formation_->contributed[number];
    const auto complete = [&] { return formation_->contributed[number] == wire_->size_; };
    if (!wire_->mutex_.AwaitWithDeadline(absl::Condition(&complete), deadline)) return Hung();
    std::vector<std::byte> all;
    for (const auto& bytes : collective) all.insert(all.end(), bytes.begin(), bytes.end());
    return all;
  }

 private:
  // As long as a real one, in a conformance test's terms: longer than its shortest deadline.
  static constexpr absl::Duration kFormTakes = absl::Milliseconds(40);

  static absl::Status Hung() { return absl::DeadlineExceededError("hung"); }

  std::shared_ptr<SimulatedWire> wire_;
  int rank_;
  int made_ = 0;
  std::size_t next_ = 0;
  SimulatedWire::Formation* formation_ = nullptr;
};

/// Collectives on host memory over a recoverable group, as NcclCommunicator has them.
class SimulatedCommunicator final : public Communicator {
 public:
  SimulatedCommunicator(std::unique_ptr<Communicator> control, std::shared_ptr<SimulatedWire> wire)
      : plane_(std::move(wire), control->rank()), group_(std::move(control), &plane_) {}

  RecoverableGroup& group() { return group_; }
  SimulatedDataPlane& plane() { return plane_; }

  int rank() const override { return group_.rank(); }
  int size() const override { return group_.size(); }
  std::uint64_t issued() const override { return issued_; }

  absl::Status SumInt32(absl::Span<std::int32_t> data, absl::Time deadline) override {
    return Sum(CollectiveKind::kSumInt32, data, deadline);
  }
  absl::Status SumFloat(absl::Span<float> data, absl::Time deadline) override {
    return Sum(CollectiveKind::kSumFloat, data, deadline);
  }
  absl::Status AllGather(absl::Span<const std::byte> send, absl::Span<std::byte> received,
                         absl::Time deadline) override {
    PB_RETURN_IF_ERROR(CheckGatherSize(send.size(), size(), received.size()));
    return Gather(CollectiveKind::kAllGather, send, received, deadline);
  }

 private:
  template <typename T>
  absl::Status Sum(CollectiveKind kind, absl::Span<T> data, absl::Time deadline) {
    std::vector<T> all(data.size() * size());
    const std::size_t bytes = data.size() * sizeof(T);
    PB_RETURN_IF_ERROR(Gather(kind, {reinterpret_cast<const std::byte*>(data.data()), bytes},
                              {reinterpret_cast<std::byte*>(all.data()), bytes * size()},
                              deadline));
    std::vector<const T*> contributions;
    for (int other = 0; other < size(); ++other) {
      contributions.push_back(all.data() + other * data.size());
    }
    SumInRankOrder<T>(contributions, data);
    return absl::OkStatus();
  }
  absl::Status Gather(CollectiveKind kind, absl::Span<const std::byte> send,
                      absl::Span<std::byte> received, absl::Time deadline) {
    ++issued_;
    if (size() == 1) {
      std::copy(send.begin(), send.end(), received.begin());
      return absl::OkStatus();
    }
    return group_.Run({kind, send.size()}, deadline, [&](absl::Time until) -> absl::Status {
      PB_ASSIGN_OR_RETURN(const auto all, plane_.Gather(send, until));
      std::copy(all.begin(), all.end(), received.begin());
      return absl::OkStatus();
    });
  }

  SimulatedDataPlane plane_;
  RecoverableGroup group_;
  std::uint64_t issued_ = 0;
};

}  // namespace pinboard::transport
