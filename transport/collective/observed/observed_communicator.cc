// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "transport/collective/observed/observed_communicator.h"

#include "base/clock.h"

namespace pinboard::transport {

const char* CollectiveCallName(CollectiveCall call) {
  switch (call) {
    case CollectiveCall::kSumInt32:
      return "sum_int32";
    case CollectiveCall::kSumFloat:
      return "sum_float";
    case CollectiveCall::kAllGather:
      return "all_gather";
    case CollectiveCall::kLaunch:
      return "launch";
    case CollectiveCall::kAwait:
      return "await";
    case CollectiveCall::kReform:
      return "reform";
  }
  return "invalid";
}

template <typename Work>
absl::Status ObservedCommunicator::Observe(CollectiveCall call, Work work) {
  const absl::Time start = SteadyNow();
  absl::Status outcome = work();
  observer_(call, SteadyNow() - start, outcome);
  return outcome;
}

absl::Status ObservedCommunicator::SumInt32(absl::Span<std::int32_t> data, absl::Time deadline) {
  return Observe(CollectiveCall::kSumInt32, [&] { return inner_.SumInt32(data, deadline); });
}

absl::Status ObservedCommunicator::SumFloat(absl::Span<float> data, absl::Time deadline) {
  return Observe(CollectiveCall::kSumFloat, [&] { return inner_.SumFloat(data, deadline); });
}

absl::Status ObservedCommunicator::AllGather(absl::Span<const std::byte> send,
                                             absl::Span<std::byte> received, absl::Time deadline) {
  return Observe(CollectiveCall::kAllGather,
                 [&] { return inner_.AllGather(send, received, deadline); });
}

absl::Status ObservedCommunicator::LaunchSumInt32(absl::Span<std::int32_t> data,
                                                  DeviceStream stream, absl::Time deadline) {
  return Observe(CollectiveCall::kLaunch,
                 [&] { return inner_.on_device()->LaunchSumInt32(data, stream, deadline); });
}

absl::Status ObservedCommunicator::LaunchSumFloat(absl::Span<float> data, DeviceStream stream,
                                                  absl::Time deadline) {
  return Observe(CollectiveCall::kLaunch,
                 [&] { return inner_.on_device()->LaunchSumFloat(data, stream, deadline); });
}

absl::Status ObservedCommunicator::LaunchSumBFloat16(absl::Span<std::uint16_t> data,
                                                     DeviceStream stream, absl::Time deadline) {
  return Observe(CollectiveCall::kLaunch,
                 [&] { return inner_.on_device()->LaunchSumBFloat16(data, stream, deadline); });
}

absl::Status ObservedCommunicator::LaunchAllGather(absl::Span<const std::byte> send,
                                                   absl::Span<std::byte> received,
                                                   DeviceStream stream, absl::Time deadline) {
  return Observe(CollectiveCall::kLaunch, [&] {
    return inner_.on_device()->LaunchAllGather(send, received, stream, deadline);
  });
}

absl::Status ObservedCommunicator::Await(DeviceStream stream, absl::Time deadline) {
  return Observe(CollectiveCall::kAwait,
                 [&] { return inner_.on_device()->Await(stream, deadline); });
}

absl::Status ObservedCommunicator::Reform(absl::Time deadline) {
  return Observe(CollectiveCall::kReform, [&] { return inner_.on_device()->Reform(deadline); });
}

}  // namespace pinboard::transport
