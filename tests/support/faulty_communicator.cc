// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/support/faulty_communicator.h"

#include <utility>

#include "absl/time/clock.h"

namespace pinboard::transport {

FaultyCommunicator::FaultyCommunicator(std::unique_ptr<Communicator> inner, FaultPlan plan)
    : inner_(std::move(inner)), plan_(plan) {}

void FaultyCommunicator::Begin(CollectiveKind kind, std::size_t bytes) {
  if (plan_.stall_before == record_.size()) absl::SleepFor(plan_.stall);
  record_.push_back({kind, bytes});
}

absl::Status FaultyCommunicator::SumInt32(absl::Span<std::int32_t> data, absl::Time deadline) {
  Begin(CollectiveKind::kSumInt32, data.size() * sizeof(std::int32_t));
  absl::Status status = inner_->SumInt32(data, deadline);
  if (plan_.flip_in_integer_sum == integer_sums_++ && plan_.flip_element < data.size()) {
    data[plan_.flip_element] ^= 1;
  }
  return status;
}

absl::Status FaultyCommunicator::SumFloat(absl::Span<float> data, absl::Time deadline) {
  Begin(CollectiveKind::kSumFloat, data.size() * sizeof(float));
  return inner_->SumFloat(data, deadline);
}

absl::Status FaultyCommunicator::AllGather(absl::Span<const std::byte> send,
                                           absl::Span<std::byte> received, absl::Time deadline) {
  Begin(CollectiveKind::kAllGather, send.size());
  return inner_->AllGather(send, received, deadline);
}

}  // namespace pinboard::transport
