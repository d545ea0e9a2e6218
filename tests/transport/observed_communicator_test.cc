// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "transport/collective/observed/observed_communicator.h"

#include <utility>

#include "tests/conformance/communicator_conformance.h"
#include "tests/conformance/rank_threads.h"
#include "transport/collective/local/local_communicator.h"

namespace pinboard::transport {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

using Seen = std::vector<std::pair<std::string, absl::StatusCode>>;

ObservedCommunicator::Observer NoteIn(Seen* seen) {
  return [seen](CollectiveCall call, absl::Duration time, const absl::Status& outcome) {
    EXPECT_GE(time, absl::ZeroDuration());
    seen->emplace_back(CollectiveCallName(call), outcome.code());
  };
}

/// Owns what it decorates, as the suite asks for.
class OwningObserved final : public Communicator {
 public:
  explicit OwningObserved(std::unique_ptr<Communicator> inner)
      : inner_(std::move(inner)), observed_(*inner_, NoteIn(&seen_)) {}
  int rank() const override { return observed_.rank(); }
  int size() const override { return observed_.size(); }
  std::uint64_t issued() const override { return observed_.issued(); }
  absl::Status SumInt32(absl::Span<std::int32_t> data, absl::Time deadline) override {
    return observed_.SumInt32(data, deadline);
  }
  absl::Status SumFloat(absl::Span<float> data, absl::Time deadline) override {
    return observed_.SumFloat(data, deadline);
  }
  absl::Status AllGather(absl::Span<const std::byte> send, absl::Span<std::byte> received,
                         absl::Time deadline) override {
    return observed_.AllGather(send, received, deadline);
  }

 private:
  Seen seen_;
  const std::unique_ptr<Communicator> inner_;
  ObservedCommunicator observed_;
};

struct Observed : RankThreads {
  static std::vector<int> Sizes() { return {2, 3}; }
  absl::Mutex mutex;
  std::unique_ptr<LocalGroup> group;

  std::unique_ptr<Communicator> Make(int rank, int size) {
    absl::MutexLock lock(&mutex);
    if (group == nullptr) group = std::make_unique<LocalGroup>(size);
    return std::make_unique<OwningObserved>(group->Join(rank));
  }
};

INSTANTIATE_TYPED_TEST_SUITE_P(Observed, CommunicatorConformance, Observed);

TEST(ObservedCommunicator, TellsOfEachCollectiveByNameAndOutcome) {
  LocalGroup group(2);
  const auto inner = group.Join(0);
  Seen seen;
  ObservedCommunicator communicator(*inner, NoteIn(&seen));
  std::vector<std::int32_t> integers = {1};
  std::vector<float> floats = {1};
  std::vector<std::byte> mine(1), all(2);
  // The other rank never comes.
  EXPECT_FALSE(communicator.SumInt32(absl::MakeSpan(integers), absl::InfinitePast()).ok());
  EXPECT_FALSE(communicator.SumFloat(absl::MakeSpan(floats), absl::InfinitePast()).ok());
  EXPECT_FALSE(communicator.AllGather(mine, absl::MakeSpan(all), absl::InfinitePast()).ok());
  constexpr auto kLate = absl::StatusCode::kDeadlineExceeded;
  EXPECT_THAT(seen, ElementsAre(Pair("sum_int32", kLate), Pair("sum_float", kLate),
                                Pair("all_gather", kLate)));
}

/// Collectives on device memory that end as a test says, in one breath.
class ScriptedDevice final : public Communicator, public DeviceCommunicator {
 public:
  DeviceCommunicator* on_device() override { return this; }
  int rank() const override { return 1; }
  int size() const override { return 2; }
  std::uint64_t issued() const override { return 0; }
  absl::Status SumInt32(absl::Span<std::int32_t>, absl::Time) override { return Next(); }
  absl::Status SumFloat(absl::Span<float>, absl::Time) override { return Next(); }
  absl::Status AllGather(absl::Span<const std::byte>, absl::Span<std::byte>, absl::Time) override {
    return Next();
  }
  absl::Status LaunchSumInt32(absl::Span<std::int32_t>, DeviceStream, absl::Time) override {
    return Next();
  }
  absl::Status LaunchSumFloat(absl::Span<float>, DeviceStream, absl::Time) override {
    return Next();
  }
  absl::Status LaunchSumBFloat16(absl::Span<std::uint16_t>, DeviceStream, absl::Time) override {
    return Next();
  }
  absl::Status LaunchAllGather(absl::Span<const std::byte>, absl::Span<std::byte>, DeviceStream,
                               absl::Time) override {
    return Next();
  }
  void BeginReplay(absl::Time deadline) override { replay = deadline; }
  absl::Status Await(DeviceStream, absl::Time) override { return Next(); }
  absl::Status Reform(absl::Time) override { return Next(); }
  std::uint64_t formation() const override { return 7; }
  std::uint64_t launched() const override { return 11; }

  absl::Time replay;

 private:
  /// Ok, Aborted, Ok, ...
  absl::Status Next() { return ++calls_ % 2 == 1 ? absl::OkStatus() : absl::AbortedError("even"); }

  int calls_ = 0;
};

TEST(ObservedCommunicator, TellsOfCollectivesOnTheDeviceWhereThereAreAny) {
  ScriptedDevice inner;
  Seen seen;
  ObservedCommunicator communicator(inner, NoteIn(&seen));
  DeviceCommunicator& device = *communicator.on_device();
  const absl::Time deadline = absl::FromUnixSeconds(5);
  EXPECT_EQ(device.rank(), 1);
  EXPECT_EQ(device.size(), 2);
  EXPECT_EQ(device.formation(), 7U);
  EXPECT_EQ(device.launched(), 11U);
  device.BeginReplay(deadline);
  EXPECT_EQ(inner.replay, deadline);
  EXPECT_THAT(seen, IsEmpty());
  EXPECT_TRUE(device.LaunchSumInt32({}, nullptr, deadline).ok());
  EXPECT_TRUE(absl::IsAborted(device.LaunchSumFloat({}, nullptr, deadline)));
  EXPECT_TRUE(device.LaunchSumBFloat16({}, nullptr, deadline).ok());
  EXPECT_TRUE(absl::IsAborted(device.LaunchAllGather({}, {}, nullptr, deadline)));
  EXPECT_TRUE(device.Await(nullptr, deadline).ok());
  EXPECT_TRUE(absl::IsAborted(device.Reform(deadline)));
  constexpr auto kOk = absl::StatusCode::kOk, kAborted = absl::StatusCode::kAborted;
  EXPECT_THAT(seen,
              ElementsAre(Pair("launch", kOk), Pair("launch", kAborted), Pair("launch", kOk),
                          Pair("launch", kAborted), Pair("await", kOk), Pair("reform", kAborted)));

  const auto solo = MakeSoloCommunicator();
  EXPECT_EQ(ObservedCommunicator(*solo, NoteIn(&seen)).on_device(), nullptr);
}

}  // namespace
}  // namespace pinboard::transport
