// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A communicator that makes one rank misbehave at a chosen collective.
#pragma once

#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "transport/collective/communicator.h"

namespace pinboard::testing {

enum class Collective : char { kSumInt32 = 'i', kSumFloat = 'f', kAllGather = 'g' };

/// Calls `before` ahead of each collective with its number and kind, `after_sum` on the result of
/// each integer sum; records the kinds issued.
class TroubledCommunicator final : public transport::Communicator {
 public:
  using Before = std::function<absl::Status(int number, Collective kind)>;
  using AfterSum = std::function<void(int number, absl::Span<std::int32_t> sum)>;

  TroubledCommunicator(std::unique_ptr<transport::Communicator> inner, Before before,
                       AfterSum after_sum)
      : inner_(std::move(inner)), before_(std::move(before)), after_sum_(std::move(after_sum)) {}

  int rank() const override { return inner_->rank(); }
  int size() const override { return inner_->size(); }
  std::uint64_t issued() const override { return inner_->issued(); }

  absl::Status SumInt32(absl::Span<std::int32_t> data, absl::Time deadline) override {
    if (absl::Status status = Note(Collective::kSumInt32); !status.ok()) return status;
    absl::Status status = inner_->SumInt32(data, deadline);
    if (status.ok() && after_sum_) after_sum_(static_cast<int>(kinds_.size()) - 1, data);
    return status;
  }
  absl::Status SumFloat(absl::Span<float> data, absl::Time deadline) override {
    if (absl::Status status = Note(Collective::kSumFloat); !status.ok()) return status;
    return inner_->SumFloat(data, deadline);
  }
  absl::Status AllGather(absl::Span<const std::byte> send, absl::Span<std::byte> received,
                         absl::Time deadline) override {
    if (absl::Status status = Note(Collective::kAllGather); !status.ok()) return status;
    return inner_->AllGather(send, received, deadline);
  }

  const std::vector<Collective>& kinds() const { return kinds_; }

 private:
  absl::Status Note(Collective kind) {
    kinds_.push_back(kind);
    return before_ ? before_(static_cast<int>(kinds_.size()) - 1, kind) : absl::OkStatus();
  }

  std::unique_ptr<transport::Communicator> inner_;
  Before before_;
  AfterSum after_sum_;
  std::vector<Collective> kinds_;
};

}  // namespace pinboard::testing
