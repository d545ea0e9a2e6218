// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A communicator that claims collectives on device memory: gathers and sums of integers are done at
// once, and a test says how waiting ends.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "base/status_macros.h"
#include "tests/shard/toy_memory.h"
#include "tests/support/faulty_communicator.h"
#include "transport/collective/device_communicator.h"

namespace pinboard::testing {

class DeviceGroup final : public transport::FaultyCommunicator,
                          public transport::DeviceCommunicator {
 public:
  using Wait = std::function<absl::Status()>;

  DeviceGroup(std::unique_ptr<transport::Communicator> inner, Wait wait)
      : FaultyCommunicator(std::move(inner), {}), wait_(std::move(wait)) {}

  transport::DeviceCommunicator* on_device() override { return this; }
  int rank() const override { return FaultyCommunicator::rank(); }
  int size() const override { return FaultyCommunicator::size(); }

  absl::Status LaunchSumInt32(absl::Span<std::int32_t> data, transport::DeviceStream,
                              absl::Time deadline) override {
    AwaitToyBackend();
    std::vector<std::int32_t> sum(data.size());
    CopyToyMemory(sum.data(), data.data(), data.size() * sizeof(std::int32_t));
    PB_RETURN_IF_ERROR(SumInt32(absl::MakeSpan(sum), deadline));
    CopyToyMemory(data.data(), sum.data(), data.size() * sizeof(std::int32_t));
    return absl::OkStatus();
  }
  absl::Status LaunchSumFloat(absl::Span<float>, transport::DeviceStream, absl::Time) override {
    return Nothing();
  }
  absl::Status LaunchSumBFloat16(absl::Span<std::uint16_t>, transport::DeviceStream,
                                 absl::Time) override {
    return Nothing();
  }
  absl::Status LaunchAllGather(absl::Span<const std::byte> send, absl::Span<std::byte> received,
                               transport::DeviceStream, absl::Time deadline) override {
    AwaitToyBackend();
    std::vector<std::byte> mine(send.size()), all(received.size());
    CopyToyMemory(mine.data(), send.data(), send.size());
    PB_RETURN_IF_ERROR(AllGather(mine, absl::MakeSpan(all), deadline));
    CopyToyMemory(received.data(), all.data(), all.size());
    return absl::OkStatus();
  }
  void BeginReplay(absl::Time) override {}
  absl::Status Await(transport::DeviceStream, absl::Time) override { return wait_(); }
  absl::Status Reform(absl::Time) override { return Nothing(); }
  std::uint64_t formation() const override { return 1; }
  std::uint64_t launched() const override { return 0; }

 private:
  static absl::Status Nothing() { return absl::UnimplementedError("a test's device group"); }

  Wait wait_;
};

}  // namespace pinboard::testing
