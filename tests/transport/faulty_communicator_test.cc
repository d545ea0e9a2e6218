// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/support/faulty_communicator.h"

#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "transport/collective/local/local_communicator.h"

namespace pinboard::transport {
namespace {

TEST(FaultyCommunicator, FlipsOneBitOfTheChosenIntegerSumAndRecordsWhatWasIssued) {
  FaultyCommunicator communicator(MakeSoloCommunicator(),
                                  {.flip_in_integer_sum = 1, .flip_element = 2});
  std::vector<float> floats(4);
  ASSERT_TRUE(communicator.SumFloat(absl::MakeSpan(floats), absl::InfiniteFuture()).ok());
  for (const int flipped : {0, 1, 0}) {
    std::vector<std::int32_t> data = {10, 10, 10};
    ASSERT_TRUE(communicator.SumInt32(absl::MakeSpan(data), absl::InfiniteFuture()).ok());
    EXPECT_THAT(data, ::testing::ElementsAre(10, 10, 10 + flipped));
  }
  EXPECT_EQ(communicator.record().size(), 4U);
  EXPECT_EQ(communicator.record()[0], (CollectiveShape{CollectiveKind::kSumFloat, 16}));
  EXPECT_EQ(communicator.record()[3], (CollectiveShape{CollectiveKind::kSumInt32, 12}));
}

TEST(FaultyCommunicator, AStalledRankMakesTheOthersMissTheirDeadline) {
  LocalGroup group(2);
  auto punctual = group.Join(0);
  FaultyCommunicator late(group.Join(1), {.stall_before = 0, .stall = absl::Milliseconds(200)});
  std::thread other([&late] {
    std::vector<std::int32_t> data = {1};
    static_cast<void>(late.SumInt32(absl::MakeSpan(data), absl::InfiniteFuture()));
  });
  std::vector<std::int32_t> data = {1};
  EXPECT_EQ(punctual->SumInt32(absl::MakeSpan(data), absl::InfinitePast()).code(),
            absl::StatusCode::kDeadlineExceeded);
  other.join();
}

}  // namespace
}  // namespace pinboard::transport
