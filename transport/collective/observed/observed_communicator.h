// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A Communicator that says how long this rank was in each collective, and how it ended.
#pragma once

#include <cstdint>
#include <functional>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "transport/collective/communicator.h"
#include "transport/collective/device_communicator.h"

namespace pinboard::transport {

/// The calls in which a rank may wait for others. kLaunch: any collective put on a stream; kAwait:
/// until the stream has passed them.
enum class CollectiveCall : std::uint8_t {
  kSumInt32,
  kSumFloat,
  kAllGather,
  kLaunch,
  kAwait,
  kReform,
};
inline constexpr int kCollectiveCalls = 6;
/// "sum_int32", ...
const char* CollectiveCallName(CollectiveCall call);

/// Decorates a Communicator and, where it has them, its collectives on device memory; adds two
/// readings of the clock to each. Thread-compatible, as what it decorates.
class ObservedCommunicator final : public Communicator, private DeviceCommunicator {
 public:
  /// Called on the caller's thread as each call ends.
  using Observer =
      std::function<void(CollectiveCall call, absl::Duration time, const absl::Status& outcome)>;

  /// `inner` outlives this.
  ObservedCommunicator(Communicator& inner, Observer observer)
      : inner_(inner), observer_(std::move(observer)) {}

  int rank() const override { return inner_.rank(); }
  int size() const override { return inner_.size(); }
  std::uint64_t issued() const override { return inner_.issued(); }
  DeviceCommunicator* on_device() override {
    return inner_.on_device() == nullptr ? nullptr : this;
  }
  absl::Status SumInt32(absl::Span<std::int32_t> data, absl::Time deadline) override;
  absl::Status SumFloat(absl::Span<float> data, absl::Time deadline) override;
  absl::Status AllGather(absl::Span<const std::byte> send, absl::Span<std::byte> received,
                         absl::Time deadline) override;

 private:
  absl::Status LaunchSumInt32(absl::Span<std::int32_t> data, DeviceStream stream,
                              absl::Time deadline) override;
  absl::Status LaunchSumFloat(absl::Span<float> data, DeviceStream stream,
                              absl::Time deadline) override;
  absl::Status LaunchSumBFloat16(absl::Span<std::uint16_t> data, DeviceStream stream,
                                 absl::Time deadline) override;
  absl::Status LaunchAllGather(absl::Span<const std::byte> send, absl::Span<std::byte> received,
                               DeviceStream stream, absl::Time deadline) override;
  void BeginReplay(absl::Time deadline) override { inner_.on_device()->BeginReplay(deadline); }
  absl::Status Await(DeviceStream stream, absl::Time deadline) override;
  absl::Status Reform(absl::Time deadline) override;
  std::uint64_t formation() const override { return inner_.on_device()->formation(); }
  std::uint64_t launched() const override { return inner_.on_device()->launched(); }

  template <typename Work>
  absl::Status Observe(CollectiveCall call, Work work);

  Communicator& inner_;
  const Observer observer_;
};

}  // namespace pinboard::transport
