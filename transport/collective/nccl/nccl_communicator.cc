// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "transport/collective/nccl/nccl_communicator.h"

#include <cuda_runtime_api.h>
#include <nccl.h>

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/time/clock.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/cuda/cuda_status.h"
#include "base/status_macros.h"
#include "transport/collective/collective_errors.h"
#include "transport/collective/nccl/host_relay.h"
#include "transport/collective/nccl/nccl_formation.h"
#include "transport/collective/rank_order_sum.h"
#include "transport/collective/recovery/recoverable_group.h"

namespace pinboard::transport {
namespace {

static_assert(sizeof(FormationId) == sizeof(ncclUniqueId));

constexpr absl::Duration kPollEvery = absl::Microseconds(10);

class NcclDataPlane final : public DataPlane {
 public:
  NcclDataPlane(int rank, int size) : rank_(rank), size_(size) {}

  /// Requires a formed group.
  NcclFormation& formation() { return *formation_; }
  /// What NCCL has found wrong; OK where it was not started.
  absl::Status Error() const { return formation_ ? formation_->Error() : absl::OkStatus(); }

  absl::StatusOr<FormationId> NewFormation() override {
    FormationId id;
    PB_RETURN_IF_ERROR(
        ToStatus(ncclGetUniqueId(reinterpret_cast<ncclUniqueId*>(id.data())), "ncclGetUniqueId"));
    return id;
  }
  absl::Status Form(const FormationId& id, absl::Time deadline) override {
    ncclUniqueId nccl_id;
    std::memcpy(&nccl_id, id.data(), sizeof(nccl_id));
    formation_ = std::make_unique<NcclFormation>();
    return formation_->Start(nccl_id, rank_, size_, deadline);
  }
  void Abort() override { formation_->Abort(); }
  absl::Status AwaitAborted(absl::Time deadline) override {
    return formation_ ? formation_->AwaitAborted(deadline) : absl::OkStatus();
  }

 private:
  int rank_;
  int size_;
  std::unique_ptr<NcclFormation> formation_;
};

class NcclCommunicatorImpl final : public NcclCommunicator {
 public:
  explicit NcclCommunicatorImpl(std::unique_ptr<Communicator> control)
      : data_(control->rank(), control->size()), group_(std::move(control), &data_) {}

  absl::Status Start(absl::Time deadline) {
    PB_RETURN_IF_ERROR(relay_.Start());
    return Reform(deadline);
  }

  int rank() const override { return group_.rank(); }
  int size() const override { return group_.size(); }

  absl::Status SumInt32(absl::Span<std::int32_t> data, absl::Time deadline) override;
  absl::Status SumFloat(absl::Span<float> data, absl::Time deadline) override;
  absl::Status AllGather(absl::Span<const std::byte> send, absl::Span<std::byte> received,
                         absl::Time deadline) override;
  std::uint64_t issued() const override { return issued_; }
  DeviceCommunicator* on_device() override { return this; }

  absl::Status LaunchSumInt32(absl::Span<std::int32_t> data, DeviceStream stream,
                              absl::Time deadline) override {
    return LaunchSum(CollectiveKind::kSumInt32, AsBytes(data), ncclInt32, stream, deadline);
  }
  absl::Status LaunchSumFloat(absl::Span<float> data, DeviceStream stream,
                              absl::Time deadline) override {
    return LaunchSum(CollectiveKind::kSumFloat, AsBytes(data), ncclFloat32, stream, deadline);
  }
  absl::Status LaunchSumBFloat16(absl::Span<std::uint16_t> data, DeviceStream stream,
                                 absl::Time deadline) override {
    return LaunchSum(CollectiveKind::kSumBFloat16, AsBytes(data), ncclBfloat16, stream, deadline);
  }
  absl::Status LaunchAllGather(absl::Span<const std::byte> send, absl::Span<std::byte> received,
                               DeviceStream stream, absl::Time deadline) override;
  void BeginReplay(absl::Time deadline) override;
  absl::Status Await(DeviceStream stream, absl::Time deadline) override;
  absl::Status Reform(absl::Time deadline) override;
  std::uint64_t formation() const override { return group_.formation(); }
  std::uint64_t launched() const override { return launched_; }

 private:
  using Collective = absl::FunctionRef<absl::Status(absl::Time until)>;

  absl::Status RunStaged(const CollectiveShape& shape, absl::Span<const std::byte> send,
                         std::size_t offset, std::size_t received_bytes, absl::Time deadline,
                         Collective collective);
  absl::Status Gather(const CollectiveShape& shape, absl::Span<const std::byte> send,
                      absl::Time deadline);
  absl::Status LaunchSum(CollectiveKind kind, absl::Span<std::byte> data, ncclDataType_t type,
                         cudaStream_t stream, absl::Time deadline);
  absl::Status Launch(const CollectiveShape& shape, absl::Time deadline, Collective collective);
  absl::Status AwaitEvent(cudaEvent_t event, absl::Time deadline) const;

  NcclDataPlane data_;
  RecoverableGroup group_;
  HostRelay relay_;
  std::uint64_t issued_ = 0;
  std::uint64_t launched_ = 0;
  std::uint64_t digest_ = 0;  // of the launches since the last Await
};

// `send` goes to `offset` of the relay; afterwards its first `received_bytes` are on the
// host.
absl::Status NcclCommunicatorImpl::RunStaged(const CollectiveShape& shape,
                                             absl::Span<const std::byte> send, std::size_t offset,
                                             std::size_t received_bytes, absl::Time deadline,
                                             Collective collective) {
  return group_.Run(shape, deadline, [&](absl::Time until) -> absl::Status {
    if (send.empty()) return absl::OkStatus();
    PB_RETURN_IF_ERROR(relay_.Reserve(received_bytes));
    PB_RETURN_IF_ERROR(relay_.ToDevice(send, offset));
    PB_RETURN_IF_ERROR(collective(until));
    PB_RETURN_IF_ERROR(relay_.ToHost(received_bytes));
    PB_ASSIGN_OR_RETURN(const cudaEvent_t done, relay_.Mark(relay_.stream()));
    return AwaitEvent(done, until);
  });
}

absl::Status NcclCommunicatorImpl::SumInt32(absl::Span<std::int32_t> data, absl::Time deadline) {
  ++issued_;
  if (size() == 1) return absl::OkStatus();
  const auto bytes = AsBytes(data);
  PB_RETURN_IF_ERROR(RunStaged({CollectiveKind::kSumInt32, bytes.size()}, bytes, 0, bytes.size(),
                               deadline, [&](absl::Time until) {
                                 return data_.formation().AllReduce(relay_.device(), data.size(),
                                                                    ncclInt32, relay_.stream(),
                                                                    until);
                               }));
  std::copy_n(relay_.host(), bytes.size(), bytes.data());
  return absl::OkStatus();
}

// All contributions, in rank order, to the relay's host side.
absl::Status NcclCommunicatorImpl::Gather(const CollectiveShape& shape,
                                          absl::Span<const std::byte> send, absl::Time deadline) {
  const std::size_t offset = rank() * send.size();
  return RunStaged(shape, send, offset, size() * send.size(), deadline, [&](absl::Time until) {
    return data_.formation().AllGather(relay_.device() + offset, relay_.device(), send.size(),
                                       relay_.stream(), until);
  });
}

absl::Status NcclCommunicatorImpl::SumFloat(absl::Span<float> data, absl::Time deadline) {
  ++issued_;
  if (size() == 1) return absl::OkStatus();
  const auto bytes = AsBytes(data);
  PB_RETURN_IF_ERROR(Gather({CollectiveKind::kSumFloat, bytes.size()}, bytes, deadline));
  std::vector<const float*> contributions(size());
  for (int other = 0; other < size(); ++other) {
    contributions[other] = reinterpret_cast<const float*>(relay_.host() + other * bytes.size());
  }
  SumInRankOrder<float>(contributions, data);
  return absl::OkStatus();
}

absl::Status NcclCommunicatorImpl::AllGather(absl::Span<const std::byte> send,
                                             absl::Span<std::byte> received, absl::Time deadline) {
  PB_RETURN_IF_ERROR(CheckGatherSize(send.size(), size(), received.size()));
  ++issued_;
  if (size() > 1) {
    PB_RETURN_IF_ERROR(Gather({CollectiveKind::kAllGather, send.size()}, send, deadline));
  }
  std::copy_n(size() > 1 ? relay_.host() : send.data(), received.size(), received.data());
  return absl::OkStatus();
}

absl::Status NcclCommunicatorImpl::LaunchSum(CollectiveKind kind, absl::Span<std::byte> data,
                                             ncclDataType_t type, cudaStream_t stream,
                                             absl::Time deadline) {
  const std::size_t element_bytes = type == ncclBfloat16 ? 2 : 4;
  return Launch({kind, data.size()}, deadline, [&](absl::Time until) {
    return data_.formation().AllReduce(data.data(), data.size() / element_bytes, type, stream,
                                       until);
  });
}

absl::Status NcclCommunicatorImpl::LaunchAllGather(absl::Span<const std::byte> send,
                                                   absl::Span<std::byte> received,
                                                   DeviceStream stream, absl::Time deadline) {
  PB_RETURN_IF_ERROR(CheckGatherSize(send.size(), size(), received.size()));
  if (size() == 1) {
    ++launched_;
    return cuda::ToStatus(cudaMemcpyAsync(received.data(), send.data(), send.size(),
                                          cudaMemcpyDeviceToDevice, stream),
                          "copy within the device");
  }
  return Launch({CollectiveKind::kAllGather, send.size()}, deadline, [&](absl::Time until) {
    return data_.formation().AllGather(send.data(), received.data(), send.size(), stream, until);
  });
}

absl::Status NcclCommunicatorImpl::Launch(const CollectiveShape& shape, absl::Time deadline,
                                          Collective collective) {
  ++launched_;
  if (size() == 1) return absl::OkStatus();
  if (!group_.formed()) return GivenUpError();
  constexpr std::uint64_t kFnvPrime = 0x100000001b3;
  digest_ = (digest_ ^ static_cast<std::uint64_t>(shape.kind)) * kFnvPrime;
  digest_ = (digest_ ^ shape.bytes) * kFnvPrime;
  if (shape.bytes == 0) return absl::OkStatus();
  BeginReplay(deadline);
  const absl::Status launched = collective(deadline);
  return launched.ok() ? launched : group_.GiveUp(launched, deadline);
}

void NcclCommunicatorImpl::BeginReplay(absl::Time deadline) {
  if (group_.formed()) data_.formation().AbortAt(BeforeBlame(deadline));
}

absl::Status NcclCommunicatorImpl::Await(DeviceStream stream, absl::Time deadline) {
  const std::uint64_t digest = std::exchange(digest_, 0);
  PB_ASSIGN_OR_RETURN(const cudaEvent_t passed, relay_.Mark(stream));
  if (size() == 1) return AwaitEvent(passed, deadline);
  if (group_.formed()) data_.formation().AbortAt(absl::InfiniteFuture());
  return group_.Confirm(digest, deadline,
                        [&](absl::Time until) { return AwaitEvent(passed, until); });
}

absl::Status NcclCommunicatorImpl::Reform(absl::Time deadline) {
  digest_ = 0;
  return size() == 1 ? absl::OkStatus() : group_.Form(deadline);
}

absl::Status NcclCommunicatorImpl::AwaitEvent(cudaEvent_t event, absl::Time deadline) const {
  while (true) {
    PB_RETURN_IF_ERROR(data_.Error());
    const cudaError_t happened = cudaEventQuery(event);
    if (happened != cudaErrorNotReady) return cuda::ToStatus(happened, "the stream");
    if (SteadyNow() >= deadline) {
      return absl::DeadlineExceededError("the device has not finished in time");
    }
    absl::SleepFor(kPollEvery);
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<NcclCommunicator>> MakeNcclCommunicator(
    std::unique_ptr<Communicator> control, absl::Time deadline) {
  auto communicator = std::make_unique<NcclCommunicatorImpl>(std::move(control));
  PB_RETURN_IF_ERROR(communicator->Start(deadline));
  return communicator;
}

}  // namespace pinboard::transport
