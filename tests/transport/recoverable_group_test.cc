// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "transport/collective/recovery/recoverable_group.h"

#include "tests/conformance/communicator_conformance.h"
#include "tests/conformance/rank_threads.h"
#include "tests/transport/simulated_device_group.h"
#include "transport/collective/host/host_communicator.h"
#include "transport/fabric/loopback/loopback.h"

namespace pinboard::transport {
namespace {

struct Simulated : RankThreads {
  static std::vector<int> Sizes() { return {2, 3}; }
  LoopbackHub hub;
  absl::Mutex mutex;
  std::shared_ptr<SimulatedWire> wire;

  std::unique_ptr<SimulatedCommunicator> Make(int rank, int size) {
    auto control = MakeHostCommunicator(hub.MakeFabric(), rank, size, "test:1", Patience());
    EXPECT_TRUE(control.ok()) << control.status();
    if (!control.ok()) return nullptr;
    absl::ReleasableMutexLock lock(&mutex);
    if (wire == nullptr) wire = std::make_shared<SimulatedWire>(size);
    auto communicator = std::make_unique<SimulatedCommunicator>(*std::move(control), wire);
    lock.Release();
    if (size > 1) {
      EXPECT_TRUE(communicator->group().Form(Patience()).ok());
    }
    return communicator;
  }

  static void RunRanks(int size,
                       const std::function<void(SimulatedCommunicator&, Simulated&)>& body) {
    Simulated environment;
    environment.Run(size, [&](int rank) {
      auto communicator = environment.Make(rank, size);
      ASSERT_NE(communicator, nullptr);
      body(*communicator, environment);
      environment.Meet(size);
    });
  }
};

// The whole contract of a communicator, over a library that can only hang or abort.
INSTANTIATE_TYPED_TEST_SUITE_P(OverAnUnforgivingLibrary, CommunicatorConformance, Simulated);

absl::Time Soon() { return absl::Now() + absl::Milliseconds(500); }

absl::Status Confirm(SimulatedCommunicator& communicator, std::uint64_t launched,
                     absl::Time deadline) {
  return communicator.group().Confirm(launched, deadline, [&](absl::Time until) {
    const std::byte mine{1};
    return communicator.plane().Gather({&mine, 1}, until).status();
  });
}

void ExpectItWorks(SimulatedCommunicator& communicator) {
  EXPECT_TRUE(Confirm(communicator, 7, Patience()).ok());
  std::vector<std::int32_t> data = {1};
  EXPECT_TRUE(communicator.SumInt32(absl::MakeSpan(data), Patience()).ok());
  EXPECT_EQ(data[0], communicator.size());
}

TEST(RecoverableGroup, ALateRankIsNamedTheGroupGivenUpAndFormedAnewWithIt) {
  Simulated::RunRanks(3, [](SimulatedCommunicator& communicator, Simulated& environment) {
    RecoverableGroup& group = communicator.group();
    const bool late = communicator.rank() == 1;
    if (late) {
      environment.Meet(3);  // the others have given up
      EXPECT_EQ(Confirm(communicator, 7, Soon()).code(), absl::StatusCode::kDeadlineExceeded);
    } else {
      const absl::Status status = Confirm(communicator, 7, Soon());
      EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
      EXPECT_THAT(std::string(status.message()), ::testing::StartsWith("rank 1 has not joined"));
      environment.Meet(3);
    }
    EXPECT_FALSE(group.formed());
    EXPECT_EQ(Confirm(communicator, 7, Patience()).code(), absl::StatusCode::kFailedPrecondition);
    ASSERT_TRUE(group.Form(Patience()).ok());
    EXPECT_EQ(group.formation(), 2U);
    ExpectItWorks(communicator);
  });
}

// Of devices that are linked, an aborted one may hand on what it has: the work ends, and is wrong.
TEST(RecoverableGroup, ALateRankIsNotToldThatWhatTheOthersGaveUpHasEndedWell) {
  Simulated::RunRanks(3, [](SimulatedCommunicator& communicator, Simulated& environment) {
    if (communicator.rank() == 1) {
      environment.Meet(3);  // the others have given up
      const absl::Status status =
          communicator.group().Confirm(7, Soon(), [](absl::Time) { return absl::OkStatus(); });
      EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded) << status;
    } else {
      EXPECT_EQ(Confirm(communicator, 7, Soon()).code(), absl::StatusCode::kDeadlineExceeded);
      environment.Meet(3);
    }
    ASSERT_TRUE(communicator.group().Form(Patience()).ok());
    ExpectItWorks(communicator);
  });
}

TEST(RecoverableGroup, AFailureOnOneRankEndsTheFormationOnAll) {
  Simulated::RunRanks(3, [](SimulatedCommunicator& communicator, Simulated&) {
    const absl::Status status =
        communicator.rank() == 2
            ? communicator.group().Confirm(
                  7, Patience(), [](absl::Time) { return absl::UnavailableError("a cable"); })
            : Confirm(communicator, 7, Soon());
    EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded) << status;
    EXPECT_THAT(
        std::string(status.message()),
        ::testing::AllOf(::testing::HasSubstr("no rank is missing"),
                         ::testing::HasSubstr(communicator.rank() == 2 ? "cable" : "hung")));
    // Host collectives form it anew by themselves.
    std::vector<std::int32_t> data = {1};
    ASSERT_TRUE(communicator.SumInt32(absl::MakeSpan(data), Patience()).ok());
    EXPECT_EQ(communicator.group().formation(), 2U);
    ExpectItWorks(communicator);
  });
}

TEST(RecoverableGroup, ARankThatGivesUpALaunchTakesTheOthersAlong) {
  Simulated::RunRanks(3, [](SimulatedCommunicator& communicator, Simulated&) {
    RecoverableGroup& group = communicator.group();
    const absl::Status status =
        communicator.rank() == 0
            ? group.GiveUp(absl::DeadlineExceededError("a launch hung"), Patience())
            : Confirm(communicator, 7, Patience());
    EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded) << status;
    EXPECT_FALSE(group.formed());
    ASSERT_TRUE(group.Form(Patience()).ok());
    EXPECT_EQ(group.formation(), 2U);
  });
}

TEST(RecoverableGroup, RanksThatLaunchedOtherCollectivesAreNamed) {
  Simulated::RunRanks(3, [](SimulatedCommunicator& communicator, Simulated&) {
    const int rank = communicator.rank();
    const absl::Status status = Confirm(communicator, rank == 2 ? 8 : 7, Patience());
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
    EXPECT_THAT(std::string(status.message()),
                ::testing::HasSubstr(rank == 2 ? "ranks 0 and 1 launched other collectives"
                                               : "rank 2 launched other collectives"));
    ASSERT_TRUE(communicator.group().Form(Patience()).ok());
    ExpectItWorks(communicator);
  });
}

TEST(RecoverableGroup, ALostRankIsNamedByTheEndOfWhatWasLaunchedAndByForming) {
  Simulated environment;
  environment.Run(3, [&environment](int rank) {
    auto communicator = environment.Make(rank, 3);
    ASSERT_NE(communicator, nullptr);
    if (rank == 2) return;
    for (const absl::Status& status :
         {Confirm(*communicator, 7, Patience()), communicator->group().Form(Patience())}) {
      EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
      EXPECT_THAT(std::string(status.message()), ::testing::StartsWith("rank 2 is lost"));
    }
    environment.Meet(2);
  });
}

TEST(RecoverableGroup, ARankTooLateForACollectiveCostsNoFormation) {
  Simulated::RunRanks(3, [](SimulatedCommunicator& communicator, Simulated& environment) {
    const auto sum = [&communicator](int number, absl::Time deadline) {
      std::vector<std::int32_t> data(number + 1, 1);  // no two collectives are alike
      const absl::Status status = communicator.SumInt32(absl::MakeSpan(data), deadline);
      if (status.ok()) {
        EXPECT_THAT(data, ::testing::Each(3));
      }
      return status;
    };
    const bool late = communicator.rank() == 1;
    if (late) environment.Meet(3);
    for (const int number : {0, 1}) {
      EXPECT_EQ(sum(number, Soon()).code(), absl::StatusCode::kDeadlineExceeded);
    }
    if (!late) environment.Meet(3);
    for (const int number : {2, 3}) {
      const absl::Status status = sum(number, Patience());
      EXPECT_TRUE(status.ok()) << status;
    }
    EXPECT_EQ(communicator.group().formation(), 1U);
  });
}

TEST(RecoverableGroup, RanksMayAskForANewFormationWhileOthersRunOrFormToo) {
  Simulated::RunRanks(4, [](SimulatedCommunicator& communicator, Simulated&) {
    RecoverableGroup& group = communicator.group();
    for (int i = 0; i < 20; ++i) {
      if ((communicator.rank() + i) % 4 == 0) {
        ASSERT_TRUE(group.Form(Patience()).ok());
      }
      std::vector<std::int32_t> data = {i};
      ASSERT_TRUE(communicator.SumInt32(absl::MakeSpan(data), Patience()).ok());
      EXPECT_EQ(data[0], 4 * i);
    }
    EXPECT_EQ(group.formation(), 21U);
  });
}

}  // namespace
}  // namespace pinboard::transport
